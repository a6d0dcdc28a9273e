"""Start a Prefect server, the deployments of prefect.yaml and a worker on this machine, in the foreground.

`make up` runs it; Ctrl-C stops everything. If PREFECT_API_URL is set, that server is used and none is started.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import down
import httpx
import lost_runs
import password

ROOT = Path(__file__).parents[1]
SERVER = Path(__file__).with_name("server.py")
PREFECT = str(Path(sys.executable).with_name("prefect"))
SERVER_LOG = down.PREFECT_HOME / "make-up-server.log"
PASSWORD_FILE = down.PREFECT_HOME / "make-up-password"
HOST, PORTS, POOL = "127.0.0.1", range(1, 65_536), "digits"
START_SECONDS, ANSWER_SECONDS, STOP_SECONDS = 120, 5, 20

FLOW_SETTINGS = {
    # Retry for four minutes while the server restarts; send the heartbeats that automations.yaml expects.
    "PREFECT_CLIENT_MAX_RETRIES": "7",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
}
"""For the worker, whose environment its runs have."""
SERVER_SETTINGS = {
    # With leases in memory, the default, a restarted server would end the runs that hold one.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}

Processes = dict[str, subprocess.Popen[bytes]]


class UpError(Exception):
    """The server, the deployments or the worker can't be started, or have ended; the message is one line."""


def main() -> None:
    """Start everything and wait for Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell may have SIGINT ignored in background processes
        signal.signal(number, signal.default_int_handler)
    try:
        with contextlib.ExitStack() as stack:
            wait(up(stack, os.environ.get("PORT", "4200")))
    except (UpError, password.PasswordError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("\neverything is stopped")


def up(stack: contextlib.ExitStack, port: str) -> Processes:
    """Start the server unless PREFECT_API_URL is set, deploy, and start the worker; the stack stops the processes."""
    processes: Processes = {}
    environment = FLOW_SETTINGS | {"PROJECT": str(ROOT.resolve())} | os.environ
    if url := os.environ.get("PREFECT_API_URL"):
        check_answers(url)
    else:
        url = f"http://{HOST}:{port}/api"
        environment |= own_server_environment(port) | {"PREFECT_API_URL": url}
        processes["server"] = start_server(stack, port, environment)
        record(processes)
        await_server(url)
        end_lost_runs(url, environment)
    ui = f"{url.removesuffix('/api')}/v2"
    if url.endswith("/api"):  # unlike Prefect Cloud's
        environment = {"PREFECT_UI_URL": ui} | environment  # by default, the links that runs log lead to the older UI
    print("creating or updating the deployments", flush=True)
    deploy(environment)
    worker = [PREFECT, "worker", "start", "--pool", POOL]
    processes["worker"] = stack.enter_context(background_process(worker, environment))
    record(processes)
    print(instructions(url, ui, processes), flush=True)
    return processes


def own_server_environment(port: str) -> dict[str, str]:
    """Return the variables of the server and its clients: only this user's processes and its own pages get in."""
    SERVER_LOG.parent.mkdir(parents=True, exist_ok=True)
    secret = password.read_or_create(PASSWORD_FILE)
    return SERVER_SETTINGS | {
        "PREFECT_SERVER_API_AUTH_STRING": secret,
        "PREFECT_API_AUTH_STRING": secret,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{HOST}:{port},http://localhost:{port}",
        "PREFECT_SERVER_UI_API_URL": f"http://{HOST}:{port}/api",
    }


def start_server(stack: contextlib.ExitStack, port: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the server, with its output in SERVER_LOG.

    It gets the open port from here: if another user's process took it meanwhile, that would be sent the password.
    """
    with open_port(port) as listener:
        log = stack.enter_context(SERVER_LOG.open("wb"))
        print("starting the Prefect server, which takes some seconds", flush=True)
        command = [sys.executable, str(SERVER), str(listener.fileno())]
        return stack.enter_context(background_process(command, environment, log, [listener.fileno()]))


def end_lost_runs(url: str, environment: Mapping[str, str]) -> None:
    """End the runs whose processes are gone, and print them: until then, the next ones would wait for them."""
    user, secret = environment["PREFECT_API_AUTH_STRING"].split(":", 1)
    with httpx.Client(base_url=url, auth=(user, secret), timeout=START_SECONDS) as api:
        try:
            print(*lost_runs.end_lost_runs(api, POOL), sep="", end="", flush=True)
        except httpx.HTTPError as error:
            raise UpError(f"lost runs can't be ended ({error}); see {SERVER_LOG}") from error


def instructions(url: str, ui: str, processes: Processes) -> str:
    """Return what to do now."""
    variables = f"PREFECT_API_URL={url}"
    login = ""
    if "server" in processes:
        show = f"cat {shlex.quote(str(PASSWORD_FILE))}"
        variables += f' PREFECT_API_AUTH_STRING="$({show})"'
        login = f"             asks once for the password: {show}\n"
    return (
        f"\nPrefect UI:  {ui}\n{login}"
        f"train now:   {ui}/deployments, retrain, Run\n"
        f"             or {variables} {os.path.relpath(PREFECT)} deployment run train/retrain\n"
        f"new data:    the next run trains on the files in inbox/, too\n"
        f"Ctrl-C stops the {' and the '.join(processes)}\n"
    )


def deploy(environment: Mapping[str, str]) -> None:
    """Run deploy.py; raise UpError with the last line of its output if it fails."""
    process = subprocess.run(
        [sys.executable, "deployment/deploy.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if process.returncode:
        last_line = (process.stderr or process.stdout).strip().splitlines()[-1:]
        raise UpError(f"the flows can't be deployed: {''.join(last_line)}")
    print(process.stdout, end="", flush=True)


def record(processes: Processes) -> None:
    """Record this process and those started so far, for `make down` in case this one is killed."""
    down.write_record({"make up": os.getpid()} | {name: process.pid for name, process in processes.items()})


def wait(processes: Processes) -> None:
    """Wait until a process ends; raise UpError that names those that ended."""
    while not (ended := [name for name, process in processes.items() if process.poll() is not None]):
        time.sleep(0.5)
    raise UpError(f"the {' and the '.join(ended)} ended unexpectedly")


def open_port(port: str) -> socket.socket:
    """Return a socket that listens on the port; raise UpError if there can't be one."""
    if not port.isdecimal() or int(port) not in PORTS:
        raise UpError(f"PORT={port}: must be a number from {PORTS[0]} to {PORTS[-1]}")
    try:
        return socket.create_server((HOST, int(port)), backlog=128)
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"can't be used ({error.strerror})"
        hint = "; `make down` stops what an earlier `make up` left running" if down.recorded_processes() else ""
        raise UpError(f"port {port} {reason}; choose another one with PORT=4300 make up{hint}") from error


def check_answers(url: str, seconds: float = ANSWER_SECONDS) -> None:
    """Raise UpError unless a server answers at the URL in time."""
    try:
        httpx.get(f"{url}/health", timeout=seconds).raise_for_status()
    except httpx.HTTPError as error:
        raise UpError(f"PREFECT_API_URL={url}: no Prefect server answers there ({error})") from error


def await_server(url: str) -> None:
    """Wait until the started server answers; raise UpError if it ends first or takes longer than START_SECONDS."""
    try:  # its port accepts the request at once, and closes if the server ends
        check_answers(url, START_SECONDS)
    except UpError as error:
        raise UpError(f"the Prefect server doesn't answer; see {SERVER_LOG}") from error


@contextlib.contextmanager
def background_process(
    command: list[str], environment: Mapping[str, str], log: IO[bytes] | None = None, descriptors: Sequence[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command inside the `with` block, with its output in a log, and with open descriptors of this process.

    It has its own session, so that the terminal's Ctrl-C reaches only this process, which stops the worker before the
    server.
    """
    with subprocess.Popen(  # noqa: S603, of up()
        command, cwd=ROOT, env=environment, start_new_session=True, stdout=log, stderr=log, pass_fds=descriptors
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with its children


if __name__ == "__main__":
    main()
