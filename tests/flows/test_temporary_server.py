"""The temporary server: who may use it, and that it ends with its run."""

import os
import signal
import subprocess
import sys

import httpx
import psutil
import pytest
from prefect.settings import PREFECT_HOME, temporary_settings
from samples import ROOT, clean_environment

from flows import temporary_server
from flows.temporary_server import TemporaryServer
from schemas.errors import UnavailableError

RUN = """
import time
from flows import temporary_server

server = temporary_server.start()
temporary_server.await_ready(server)
print(server.url, server.password, server.process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.prefect
def test_server_needs_its_password_and_ends_with_a_killed_run(prefect_home):
    command = [sys.executable, "-c", RUN]
    with subprocess.Popen(
        command, cwd=ROOT, env=clean_environment(prefect_home), stdout=subprocess.PIPE, text=True
    ) as run:
        url, password, pid = run.stdout.readline().split()
        server = psutil.Process(int(pid))
        ask = f"{url}/flow_runs/filter"
        assert httpx.post(ask, json={}).status_code == 401
        response = httpx.post(ask, json={}, auth=tuple(password.split(":")), headers={"Origin": "http://other.example"})
        assert response.status_code == 200
        assert "access-control-allow-origin" not in response.headers
        assert password not in " ".join(server.cmdline())
        server.terminate()
        assert httpx.get(f"{url}/health").status_code == 200, "only the run ends its server"
        run.kill()
        server.wait(30)


@pytest.mark.prefect
def test_server_that_cannot_start_is_a_one_line_error(monkeypatch, prefect_home):
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "sqlite+aiosqlite:////proc/digits.db")
    with temporary_settings({PREFECT_HOME: prefect_home}):
        server = temporary_server.start.__wrapped__()
    with pytest.raises(UnavailableError, match="the temporary Prefect server doesn't start; see "):
        temporary_server.await_ready(server)
    assert "unable to open database file" in server.log.read_text()


@pytest.mark.parametrize(("is_stopped", "codes"), [(False, [1]), (True, [])])
def test_run_exits_when_its_server_is_killed(monkeypatch, capfd, tmp_path, is_stopped, codes):
    exits = []
    monkeypatch.setattr(os, "_exit", exits.append)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    thread = temporary_server.exit_with(TemporaryServer("", "", process, tmp_path), "interrupted")
    temporary_server.stop(process) if is_stopped else process.send_signal(signal.SIGKILL)
    thread.join(30)
    assert exits == codes
    assert ("server ended unexpectedly: interrupted" in capfd.readouterr().err) is not is_stopped
