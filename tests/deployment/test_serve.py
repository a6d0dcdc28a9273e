"""`make serve` reports what it can't use in one line, before the slow imports."""

import socket
import subprocess
import sys

import pytest
import serve
from samples import ROOT, publish

from artifacts.store.store import Store


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
