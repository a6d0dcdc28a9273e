"""The project as `make up` runs it: server, deployments and worker from nothing, runs through the API."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
from samples import ROOT, clean_environment

PATIENCE = 300
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def free_port() -> int:
    """Give a port that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Patient(httpx.HTTPTransport):
    """Ask again where the server says that its database is busy, as Prefect's own client does."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Wait half a second in between; what only reads is asked again when it took too long, too."""
        while True:
            try:
                answer = super().handle_request(request)
            except httpx.ReadTimeout:
                if request.method != "GET" and not request.url.path.endswith("/filter"):
                    raise
                continue
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer
            time.sleep(0.5)


def api_client(url: str) -> httpx.Client:
    """Give a client of a server's API."""
    return httpx.Client(base_url=url, timeout=120, transport=Patient())  # its machine may be at work on ten runs


@contextlib.contextmanager
def served(home: Path) -> Iterator[httpx.Client]:
    """Start everything with its database and words in a folder; give a client of the API; end everything by Ctrl-C."""
    port, words = free_port(), home / "make-up.log"
    # The worker asks for work every second instead of every ten: tests wait for each of their runs.
    environment = clean_environment(home) | {"PORT": str(port), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    with words.open("wb") as log:  # no pipe: the worker's words would fill it
        process = subprocess.Popen(
            [sys.executable, ROOT / "deployment" / "up.py"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await_ready(process, words)
        with api_client(f"http://127.0.0.1:{port}/api") as api:
            yield api
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _await_ready(process: subprocess.Popen[bytes], words: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while "Ctrl-C ends" not in words.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"make up didn't come up:\n{words.read_text()}")
        time.sleep(0.2)


def deployment(api: httpx.Client, name: str) -> dict[str, Any]:
    """Give a deployment by its name, `train/retrain`."""
    return api.get(f"/deployments/name/{name}").raise_for_status().json()


def ask_each_champion(api: httpx.Client, *, enabled: bool) -> None:
    """Let predict run whenever a version becomes champion, as prefect.yaml has it, or not."""
    wanted = {"automations": {"name": {"any_": ["predict__automation_1"]}}}
    (automation,) = api.post("/automations/filter", json=wanted).raise_for_status().json()
    api.patch(f"/automations/{automation['id']}", json={"enabled": enabled}).raise_for_status()


def run(api: httpx.Client, name: str, parameters: Mapping[str, object]) -> dict[str, Any]:
    """Run a deployment as the UI does; give the run when it has ended."""
    identity = deployment(api, name)["id"]
    created = api.post(f"/deployments/{identity}/create_flow_run", json={"parameters": parameters})
    return ended(api, created.raise_for_status().json()["id"])


def ended(api: httpx.Client, identity: str) -> dict[str, Any]:
    """Give a run when it has ended."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = api.get(f"/flow_runs/{identity}").raise_for_status().json()
        if found["state_type"] in ENDED:
            return found
        time.sleep(0.5)
    raise AssertionError(f"{found['name']} didn't end: {found['state']}")
