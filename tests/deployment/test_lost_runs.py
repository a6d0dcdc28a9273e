"""Which runs `make up` ends before its worker starts, against a small copy of the API."""

import json
import subprocess
import sys

import httpx
import lost_runs
import pytest


class Api(httpx.MockTransport):
    """One run; `now` is the id of its state when it is read again."""

    def __init__(self, state_type, now="state"):
        super().__init__(self.answer)
        self.run = {"id": "the-run", "name": "train\n", "state_type": state_type, "state_id": "state"}
        self.now = now
        self.states = []

    def answer(self, request):
        if request.url.path.endswith("/filter"):
            return httpx.Response(200, json=[self.run])
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


def test_run_whose_process_is_alive_continues():
    api = Api("RUNNING")
    command = [sys.executable, "-c", "print(flush=True); input()"]
    environment = {lost_runs.RUN_ID: "the-run"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        process.stdout.readline()
        assert api.end_lost_runs() == ["still running, from an earlier worker: train\\n\n"]
        process.communicate(b"\n")
    assert api.states == []


def test_run_that_ends_meanwhile_keeps_its_result():
    api = Api("RUNNING", now="completed")
    assert api.end_lost_runs() == []
    assert api.states == []
