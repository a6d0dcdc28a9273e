"""`make up` records each process as soon as it runs, so that `make down` finds it."""

import contextlib
import subprocess
import sys

import pytest
from samples import ROOT


@pytest.fixture
def deployment(monkeypatch):
    """Return the modules up and down; their folder isn't a package."""
    monkeypatch.syspath_prepend(str(ROOT / "deployment"))
    import down
    import up

    return up, down


def test_server_is_recorded_before_the_worker_starts(deployment, tmp_path, monkeypatch):
    up, down = deployment
    monkeypatch.setattr(down, "RECORD", tmp_path / "make-up.json")
    monkeypatch.setattr(up, "SERVER_LOG", tmp_path / "log")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    def killed(*_):
        raise SystemExit

    monkeypatch.setattr(up, "check_port", lambda _: None)
    monkeypatch.setattr(up, "await_server", killed)
    monkeypatch.setattr(up, "PREFECT", sys.executable)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as server:
        monkeypatch.setattr(up, "background_process", lambda *_: contextlib.nullcontext(server))
        with pytest.raises(SystemExit), contextlib.ExitStack() as stack:
            up.up(stack, "4200")
        assert {name: process.pid for name, process in down.recorded_processes().items()}["server"] == server.pid
        server.communicate()
