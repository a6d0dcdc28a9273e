"""`make serve` reports what it can't use in one line, before the slow imports, and ends without a loss."""

import json
import os
import signal
import socket
import subprocess
import sys
from threading import Thread
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import serve
from samples import ROOT, publish
from serving import free_port

from artifacts.store import review
from artifacts.store.store import Store
from schemas.pixel_frame import pixels_of
from schemas.prediction import Predictor
from tasks.serving.champion import ServedVersion
from tasks.validation import profiles


def test_a_store_without_a_champion_is_reported(tmp_path):
    publish(Store(tmp_path / "store"))
    command = [sys.executable, ROOT / "deployment" / "serve.py", "--store", "store"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "error: store: there is no champion to serve; train a version, or promote one\n"


def test_a_port_in_use_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            serve.InputError, match=rf"^127\.0\.0\.1:{port} can't be listened on \(Address already in use\)"
        ):
            serve.listen("127.0.0.1", port)


def test_an_inbox_that_holds_the_store_is_refused(tmp_path):
    publish(Store(tmp_path / "store"), promoted=True)
    with pytest.raises(serve.InputError, match="everything in an inbox is moved"):
        serve.serve(store=str(tmp_path / "store"), inbox=tmp_path)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)],  # noqa: S104
)
def test_other_host_names_are_answered_only_to_other_machines(host, expected):
    assert ("*" in serve.allowed_hosts(host)) is expected


@pytest.fixture
def doubtful_champion(monkeypatch):
    """Let a version that abstains from all images stand for the champion of a store."""
    predictor = Predictor(1, None, profiles.load_embedded(), lambda pixels: np.full((len(pixels), 10), 0.1, np.float32))
    champion = SimpleNamespace(current=ServedVersion(predictor, {}, ""), problem="", follow=lambda *_: None)
    monkeypatch.setattr("tasks.serving.champion.Champion", lambda _: champion)


@pytest.mark.usefixtures("doubtful_champion")
def test_sigterm_ends_the_service_after_the_queue_is_written(digits, tmp_path):
    """`systemctl stop` and `docker stop` send it; by default, no further line of Python runs then."""
    store, port, items_at_the_end = Store(tmp_path / "store"), free_port(), []
    publish(store, promoted=True)

    def predict_and_end():
        body = {"content": json.dumps(pixels_of(digits)[:3].tolist()), "headers": {"Content-Type": "application/json"}}
        with httpx.Client(transport=httpx.HTTPTransport(retries=10), timeout=60) as client:
            client.post(f"http://127.0.0.1:{port}/predict", **body)
        os.kill(os.getpid(), signal.SIGTERM)

    handler = signal.signal(signal.SIGTERM, lambda *_: items_at_the_end.extend({*review.read(store)["item"]}))
    try:
        Thread(target=predict_and_end, daemon=True).start()
        serve.serve(store=store.uri, port=port, review=True)
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert len(items_at_the_end) == 3
