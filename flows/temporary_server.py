"""A Prefect server for one run, which ends when the run's process does, however that ends.

`start` runs this file in a process of its own. It serves the API on a socket that the run has opened, so that no other
process can take the port, until its standard input closes; signals, such as the terminal's Ctrl-C, don't end it.
"""

from __future__ import annotations

import gc
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from threading import Thread
from typing import NamedTuple

HOST, START_SECONDS, STOP_SECONDS = "127.0.0.1", 120, 5


class TemporaryServer(NamedTuple):
    """A server's address, its password, its process, and the file with its output."""

    url: str
    password: str
    process: subprocess.Popen[bytes]
    log: Path


@cache  # a second flow in this process uses the same server
def start() -> TemporaryServer:
    """Start a server, which `await_ready` waits for and the exit of this process stops."""
    from prefect.settings import PREFECT_HOME  # noqa: PLC0415, the server's own process needs none of these

    from flows import script  # noqa: PLC0415

    log = PREFECT_HOME.value() / "temporary-server.log"
    with socket.create_server((HOST, 0), backlog=128) as listener, log.open("wb") as output:
        origin = f"http://{HOST}:{listener.getsockname()[1]}"
        password = f"digits:{secrets.token_urlsafe(32)}"
        settings = {
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_API_AUTH_STRING": password,
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origin,
        }
        process = subprocess.Popen(  # noqa: S603, this file
            [sys.executable, __file__, str(listener.fileno())],
            env={**os.environ, **settings},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    script.exit_stack.callback(stop, process)
    return TemporaryServer(f"{origin}/api", password, process, log)


def await_ready(server: TemporaryServer) -> None:
    """Wait until the server answers; raise UnavailableError if it doesn't."""
    import httpx  # noqa: PLC0415

    from schemas.errors import UnavailableError  # noqa: PLC0415

    try:  # the socket accepts this connection at once, and the server answers when it has started
        httpx.get(f"{server.url}/health", timeout=START_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        raise UnavailableError(f"the temporary Prefect server doesn't start; see {server.log}") from error


def exit_with(server: TemporaryServer, message: str) -> Thread:
    """Exit if the server ends before `stop`, for example by SIGKILL: Prefect would retry its requests for minutes."""
    from flows.script import exit_at_once  # noqa: PLC0415

    def wait() -> None:
        server.process.wait()
        if server.process.stdin and not server.process.stdin.closed:
            exit_at_once(1, f"the temporary Prefect server ended unexpectedly: {message}")

    thread = Thread(target=wait, daemon=True)
    thread.start()
    return thread


def stop(process: subprocess.Popen[bytes]) -> None:
    """Close the server's standard input and wait until it ends; kill it if that takes too long."""
    try:
        process.communicate(timeout=2 * STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def serve(listener: socket.socket) -> None:
    """Serve Prefect's API on the socket until standard input closes."""
    server: uvicorn.Server | None = None

    def stop_with_input() -> None:
        sys.stdin.buffer.read()
        if server:
            server.should_exit = True
            time.sleep(2 * STOP_SECONDS)
        os._exit(1)

    Thread(target=stop_with_input, daemon=True).start()
    import uvicorn  # noqa: PLC0415, only the server's process needs it, and it takes seconds
    from prefect.server.api.server import create_app  # noqa: PLC0415, likewise

    app = create_app(ephemeral=True, final=True)
    gc.freeze()  # the modules stay, and the first requests needn't wait for a search through their objects
    gc.enable()
    config = uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=STOP_SECONDS)
    server = uvicorn.Server(config)
    server.run([listener])
    gc.freeze()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    gc.disable()
    serve(socket.socket(fileno=int(sys.argv[1])))
