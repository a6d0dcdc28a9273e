"""Which runs `make up` ends before its worker starts, against a small copy of the API."""

import json
import subprocess
import sys

import httpx
import lost_runs
import pytest

CHILD = "print(flush=True); input()"


class Api(httpx.MockTransport):
    """Runs on pages of one run each; `now` is the id of their state when they are read again."""

    def __init__(self, state_type, now="state", n_runs=1):
        super().__init__(self.answer)
        self.n_runs = n_runs
        self.run = {"id": "the-run", "name": "train\n", "state_type": state_type, "state_id": "state"}
        self.now = now
        self.states = []

    def answer(self, request):
        if request.url.path.endswith("/filter"):
            return httpx.Response(200, json=[self.run] * (json.loads(request.content).get("offset", 0) < self.n_runs))
        if request.method == "GET":
            return httpx.Response(200, json=self.run | {"state_id": self.now})
        self.states.append(json.loads(request.content)["state"]["type"])
        return httpx.Response(200, json={"status": "ACCEPT"})

    def end_lost_runs(self):
        with httpx.Client(base_url="http://api", transport=self) as client:
            return lost_runs.end_lost_runs(client, "digits")


@pytest.mark.parametrize(
    ("state", "final"), [("PENDING", "CRASHED"), ("RUNNING", "CRASHED"), ("CANCELLING", "CANCELLED")]
)
def test_run_whose_process_is_gone_is_ended(state, final):
    api = Api(state)
    assert api.end_lost_runs() == ["ended, since its process is gone: train\\n\n"]
    assert api.states == [final]


def test_runs_on_all_pages_are_ended():
    api = Api("RUNNING", n_runs=3)
    api.end_lost_runs()
    assert api.states == ["CRASHED"] * 3


@pytest.mark.parametrize(
    ("arguments", "states"), [(["-m", "prefect.engine"], []), (["-c", CHILD], ["CRASHED"])], ids=["run", "orphan"]
)
def test_run_continues_if_its_own_process_is_alive(tmp_path, arguments, states):
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "__init__.py").touch()
    (tmp_path / "prefect" / "engine.py").write_text(CHILD)
    api = Api("RUNNING")
    command, environment = [sys.executable, *arguments], {lost_runs.RUN_ID: "the-run", "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        process.stdout.readline()
        (line,) = api.end_lost_runs()
        process.communicate(b"\n")
    assert line.startswith("ended, since" if states else "still running, from an earlier worker: ")
    assert api.states == states


def test_run_that_ends_meanwhile_keeps_its_result():
    api = Api("RUNNING", now="completed")
    assert api.end_lost_runs() == []
    assert api.states == []
