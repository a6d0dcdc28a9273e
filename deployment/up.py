"""Start everything on this machine, in the foreground: a Prefect server, the deployments of prefect.yaml, a worker.

`make up` runs it; Ctrl-C ends all of it. Where PREFECT_API_URL names a server, that one is used and none is started.
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
from pathlib import Path
from typing import TYPE_CHECKING

import down
import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import IO

ROOT = Path(__file__).parents[1]
PREFECT = str(Path(sys.executable).with_name("prefect"))
LOG = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser() / "server-of-make-up.log"
HOST, POOL = "127.0.0.1", "digits"
PATIENCE, PATIENCE_AT_THE_END = 120, 20
HIGHEST_PORT = 65_535


class UpError(Exception):
    """Tell, in one line, what keeps the server, the deployments or the worker from running."""


def main() -> None:
    """Start all, say where it is, wait for Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGINT):  # whatever the shell that started this made of them
        signal.signal(number, signal.default_int_handler)
    try:
        with contextlib.ExitStack() as running:
            watch(up(running, os.environ.get("PORT", "4200")))
    except UpError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("\nall has ended")


def up(running: contextlib.ExitStack, port: str) -> dict[str, subprocess.Popen[bytes]]:
    """Start what is missing, one after another, each when the one before is ready; give the processes by name."""
    watched = {}
    environment = {"PROJECT": str(ROOT), **os.environ}
    if "PREFECT_API_URL" not in environment:
        environment["PREFECT_API_URL"] = url = f"http://{HOST}:{port}/api"
        environment["PREFECT_SERVER_UI_API_URL"] = url
        check_free(port)
        LOG.parent.mkdir(parents=True, exist_ok=True)
        words = running.enter_context(LOG.open("wb"))
        command = ["server", "start", "--host", HOST, "--port", port]
        watched["server"] = running.enter_context(started(command, environment, words))
        note(watched)
        await_ready(url, watched["server"])
    else:
        check_answers(environment["PREFECT_API_URL"])
    pool = ["work-pool", "create", POOL, "--type", "process", "--overwrite"]
    run([PREFECT, "--no-prompt", *pool], environment, "the work pool can't be made")
    run([PREFECT, "--no-prompt", "deploy", "--all"], environment, "the flows can't be deployed")
    automate = [sys.executable, str(ROOT / "deployment" / "automations.py")]
    run(automate, environment, "the automations can't be made")
    watched["worker"] = running.enter_context(started(["worker", "start", "--pool", POOL], environment))
    note(watched)
    address = environment["PREFECT_API_URL"].removesuffix("/api")
    print(
        f"\nPrefect UI:  {address}\n"
        f"train now:   {address}/deployments, retrain, Run\n"
        f"             or PREFECT_API_URL={environment['PREFECT_API_URL']} "
        f"{os.path.relpath(PREFECT)} deployment run train/retrain\n"
        f"new data:    files in inbox/ are trained on at the next run\n"
        f"Ctrl-C ends the {' and the '.join(watched)}\n",
        flush=True,
    )
    return watched


def note(watched: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Put on record what has been started so far, for `make down` to find when this process is killed."""
    down.record({"make up": os.getpid()} | {name: process.pid for name, process in watched.items()})


def watch(watched: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Wait as long as all run; raise UpError naming what ended by itself."""
    while not (ended := [name for name, process in watched.items() if process.poll() is not None]):
        time.sleep(0.5)
    raise UpError(f"the {' and the '.join(ended)} ended by itself")


def check_free(port: str) -> None:
    """Raise UpError unless a server can listen on the port."""
    if not port.isdecimal() or not 0 < int(port) <= HIGHEST_PORT:
        raise UpError(f"PORT={port}: 1 to {HIGHEST_PORT} is allowed")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, int(port)))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"can't be had ({error.strerror})"
            left = "; make down ends what an earlier one left" if down.running() else ""
            raise UpError(f"port {port} {reason}; PORT=4300 make up takes another one{left}") from error


def check_answers(url: str) -> None:
    """Raise UpError unless the server that PREFECT_API_URL names answers."""
    try:
        httpx.get(f"{url}/health").raise_for_status()
    except httpx.HTTPError as error:
        raise UpError(f"PREFECT_API_URL names {url}, which doesn't answer ({error})") from error


def await_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers; raise UpError when it ends before or takes minutes."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health").is_success:
                return
        time.sleep(0.2)
    raise UpError(f"the Prefect server doesn't answer; {LOG} has its words")


def run(command: list[str], environment: Mapping[str, str], fault: str) -> None:
    """Run a command; raise UpError with the last of its words when it fails."""
    ended = subprocess.run(  # noqa: S603, Prefect's own command and our own
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        last = (ended.stderr or ended.stdout).strip().splitlines()[-1:]
        raise UpError(f"{fault}: {' '.join(last)}")


@contextlib.contextmanager
def started(
    command: list[str], environment: Mapping[str, str], words: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command of Prefect's, deaf to the terminal's Ctrl-C, its words into a file if there is one; end it."""
    with subprocess.Popen(  # noqa: S603, Prefect's own command
        [PREFECT, *command], cwd=ROOT, env=environment, start_new_session=True, stdout=words, stderr=words
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_AT_THE_END)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with whatever it started


if __name__ == "__main__":
    main()
