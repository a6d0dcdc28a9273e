"""Start the server, the deployments and the worker of `make up`, and run deployments through the API."""

import contextlib
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import httpx
import psutil
from samples import ROOT, clean_environment

TIMEOUT_SECONDS = 300
FINAL_STATES = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def free_port() -> int:
    """Return a port that is free now, below those that systems give to connections: one of these could take it."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill processes of which some may end meanwhile."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def descendants(process: subprocess.Popen[Any]) -> list[psutil.Process]:
    """Return the children of a process and theirs; none if it has ended, as another may have its number then."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    return []


class RetryTransport(httpx.HTTPTransport):
    """Retry requests while the server's database is busy, as Prefect's own client does."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        while True:
            try:
                response = super().handle_request(request)
            except httpx.ReadTimeout:
                if request.method != "GET" and not request.url.path.endswith("/filter"):
                    raise  # it may have written
                continue
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return response
            time.sleep(0.5)


def api_client(url: str, password: str = "") -> httpx.Client:
    """Return a client of the API at a URL, with a password such as `admin:…`."""
    auth = httpx.BasicAuth(*password.split(":", 1)) if password else None
    return httpx.Client(base_url=url, auth=auth, timeout=120, transport=RetryTransport())  # ten runs keep it busy


def read_password(home: Path) -> str:
    """Return the password of the server that `make up` runs with a folder as Prefect's home."""
    return (home / "make-up-password").read_text().strip()


def make_up(environment: Mapping[str, str], output: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start `make up` in a process group of its own."""
    # The worker polls every second instead of every ten, since tests wait for their runs.
    return subprocess.Popen(
        [sys.executable, ROOT / "deployment" / "up.py"],
        env={"PREFECT_WORKER_QUERY_SECONDS": "1", **environment},
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@contextlib.contextmanager
def served(home: Path) -> Iterator[httpx.Client]:
    """Run `make up` with its database and log in a folder; yield a client of the API; end it by Ctrl-C."""
    port, log = free_port(), home / "make-up.log"
    with log.open("wb") as output:  # no pipe, which the worker's output would fill
        process = make_up(clean_environment(home) | {"PORT": str(port)}, output)
    try:
        _await_ready(process, log)
        with api_client(f"http://127.0.0.1:{port}/api", read_password(home)) as api:
            yield api
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(TIMEOUT_SECONDS)


def _await_ready(process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while "Ctrl-C stops" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"make up didn't start:\n{log.read_text()}")
        time.sleep(0.2)


def deployment(api: httpx.Client, name: str) -> dict[str, Any]:
    """Return the deployment of a name such as `train/retrain`."""
    found: dict[str, Any] = api.get(f"/deployments/name/{name}").raise_for_status().json()
    return found


def predict_trigger(api: httpx.Client) -> dict[str, Any]:
    """Return the automation that runs predict whenever a version becomes champion, as in prefect.yaml."""
    name_filter = {"automations": {"name": {"any_": ["digits-predict-champion"]}}}
    (automation,) = api.post("/automations/filter", json=name_filter).raise_for_status().json()
    found: dict[str, Any] = automation
    return found


def enable_predict_trigger(api: httpx.Client, *, enabled: bool) -> None:
    """Turn that automation on or off."""
    api.patch(f"/automations/{predict_trigger(api)['id']}", json={"enabled": enabled}).raise_for_status()


def set_predict_output(api: httpx.Client, store: str, output: Path) -> None:
    """Let that automation follow another store, and write to another file, than those in the project's folder."""
    automation = predict_trigger(api)
    automation["trigger"]["match"] = {"prefect.resource.id": f"digits.store.{store}"}
    (action,) = automation["actions"]
    action["parameters"]["output"] = str(output)
    fields = {name: automation[name] for name in ("name", "description", "enabled", "trigger", "actions")}
    api.put(f"/automations/{automation['id']}", json=fields).raise_for_status()


def run(api: httpx.Client, name: str, parameters: Mapping[str, object]) -> dict[str, Any]:
    """Run a deployment as the UI does; return the run when it has ended."""
    return wait_for_run(api, trigger(api, name, parameters))


def trigger(api: httpx.Client, name: str, parameters: Mapping[str, object]) -> str:
    """Start a run of a deployment; return its id."""
    deployment_id = deployment(api, name)["id"]
    created = api.post(f"/deployments/{deployment_id}/create_flow_run", json={"parameters": parameters})
    run_id: str = created.raise_for_status().json()["id"]
    return run_id


def wait_for_run(api: httpx.Client, run_id: str) -> dict[str, Any]:
    """Return the run when it has ended."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        flow_run: dict[str, Any] = api.get(f"/flow_runs/{run_id}").raise_for_status().json()
        if flow_run["state_type"] in FINAL_STATES:
            return flow_run
        time.sleep(0.5)
    raise AssertionError(f"{flow_run['name']} didn't end: {flow_run['state']}")
