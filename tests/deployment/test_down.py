"""`make up` records each process as soon as it runs, so that `make down` finds it."""

import contextlib
import subprocess
import sys

import down
import pytest
import up
from serving import free_port


def test_server_is_recorded_before_the_worker_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(down, "RECORD", tmp_path / "make-up.json")
    monkeypatch.setattr(up, "SERVER_LOG", tmp_path / "log")
    monkeypatch.setattr(up, "PASSWORD_FILE", tmp_path / "password")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    def killed(*_):
        raise SystemExit

    monkeypatch.setattr(up, "await_server", killed)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as server:
        monkeypatch.setattr(up, "background_process", lambda *_: contextlib.nullcontext(server))
        with pytest.raises(SystemExit), contextlib.ExitStack() as stack:
            up.up(stack, str(free_port()))
        assert {name: process.pid for name, process in down.recorded_processes().items()}["server"] == server.pid
        server.communicate()
