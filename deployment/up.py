"""Start a Prefect server, the deployments of prefect.yaml and a worker on this machine, in the foreground.

`make up` runs it; Ctrl-C stops everything. If PREFECT_API_URL is set, that server is used and none is started.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import down
import httpx

ROOT = Path(__file__).parents[1]
PREFECT = str(Path(sys.executable).with_name("prefect"))
SERVER_LOG = down.PREFECT_HOME / "make-up-server.log"
HOST, PORTS, POOL = "127.0.0.1", range(1, 65_536), "digits"
START_SECONDS, STOP_SECONDS = 120, 20

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
    except UpError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("\neverything is stopped")


def up(stack: contextlib.ExitStack, port: str) -> Processes:
    """Start the server unless PREFECT_API_URL is set, deploy, and start the worker; the stack stops the processes."""
    processes: Processes = {}
    given = os.environ.get("PREFECT_API_URL")
    url = given or f"http://{HOST}:{port}/api"
    ui = url.removesuffix("/api")
    # Without /v2, the links that runs log would lead to the older UI.
    links = {"PREFECT_UI_URL": f"{ui}/v2"} if url.endswith("/api") else {}
    environment = {"PROJECT": str(ROOT), **links, **os.environ, "PREFECT_API_URL": url}
    if given:
        check_answers(url)
    else:
        check_port(port)
        environment["PREFECT_SERVER_UI_API_URL"] = url
        # Not with --background: it keeps no log, and `prefect server stop` may signal another process that has got the
        # recorded PID.
        SERVER_LOG.parent.mkdir(parents=True, exist_ok=True)
        log = stack.enter_context(SERVER_LOG.open("wb"))
        print("starting the Prefect server, which takes some seconds", flush=True)
        command = ["server", "start", "--host", HOST, "--port", port]
        processes["server"] = stack.enter_context(background_process(command, environment, log))
        record(processes)
        await_server(url, processes["server"])
    print("creating or updating the deployments", flush=True)
    deploy(environment)
    processes["worker"] = stack.enter_context(background_process(["worker", "start", "--pool", POOL], environment))
    record(processes)
    print(
        f"\nPrefect UI:  {ui}\n"
        f"train now:   {ui}/deployments, retrain, Run\n"
        f"             or PREFECT_API_URL={url} {os.path.relpath(PREFECT)} deployment run train/retrain\n"
        f"new data:    the next run trains on the files in inbox/, too\n"
        f"Ctrl-C stops the {' and the '.join(processes)}\n",
        flush=True,
    )
    return processes


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


def check_port(port: str) -> None:
    """Raise UpError unless a server can listen on the port."""
    if not port.isdecimal() or int(port) not in PORTS:
        raise UpError(f"PORT={port}: must be a number from {PORTS[0]} to {PORTS[-1]}")
    try:
        socket.create_server((HOST, int(port))).close()
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"can't be used ({error.strerror})"
        hint = "; `make down` stops what an earlier `make up` left running" if down.recorded_processes() else ""
        raise UpError(f"port {port} {reason}; choose another one with PORT=4300 make up{hint}") from error


def check_answers(url: str) -> None:
    """Raise UpError unless a server answers at the URL."""
    try:
        httpx.get(f"{url}/health").raise_for_status()
    except httpx.HTTPError as error:
        raise UpError(f"PREFECT_API_URL={url}: no Prefect server answers there ({error})") from error


def await_server(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers; raise UpError if it ends first or takes longer than START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(UpError):
            return check_answers(url)
        time.sleep(0.2)
    raise UpError(f"the Prefect server doesn't answer; see {SERVER_LOG}")


@contextlib.contextmanager
def background_process(
    command: list[str], environment: Mapping[str, str], log: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Prefect command inside the `with` block, with its output in the log, if given.

    It has its own session, so that the terminal's Ctrl-C reaches only this process, which stops the worker before the
    server.
    """
    with subprocess.Popen(  # noqa: S603, Prefect's own command
        [PREFECT, *command], cwd=ROOT, env=environment, start_new_session=True, stdout=log, stderr=log
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
