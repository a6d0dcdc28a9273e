"""Measure whole programs: the flow with and without a server running, the same without Prefect, the plain script.

And the flow on shards, for what is larger than memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from entrants import SCRIPTS
from processes import ROOT, run, tree_peak_bytes
from records import Program, ShardedRun

from schemas.recipe import AUGMENTATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from processes import Finished

FLOW, FLOW_SERVED, WITHOUT, PLAIN = "flow", "flow_served", "without_prefect", "plain_script"
AS_THEY_ARE = [word for name in AUGMENTATIONS for word in (f"--{name}", "0")]
"""Flags that leave out the augmentation: the rows of `make_large.py` are deformed already."""
SERVER_PATIENCE = 120.0
STAND_IN = Path(__file__).parent / "without_prefect"
SETTLING = 5.0  # a server that has just answered is still busy with its own start


class Programs:
    """The whole programs, with folders of their own for Prefect and for their stores."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        """Keep everything in the folder; quick programs train one epoch."""
        self._folder = folder
        self._epochs = ["--epochs", "1"] if quick else []
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}

    def warm_up(self) -> None:
        """Run everything once with one epoch, so that no measured run has to make a database or read a cold disk."""
        warm = Programs(self._folder, quick=True)
        for measure in warm.measures().values():
            measure(0)

    def measures(self) -> dict[str, Callable[[int], Program]]:
        """Give, by name, what measures each program with a seed."""
        return {PLAIN: self.plain, FLOW: self.flow, FLOW_SERVED: self.flow_served, WITHOUT: self.without_prefect}

    def plain(self, seed: int) -> Program:
        """Measure the plain Keras script."""
        finished = run(self._plain_command(seed), self._environment)
        accuracy = json.loads(finished.output.splitlines()[-1])["final_accuracy"]
        return Program(PLAIN, seed, finished.seconds, finished.peak_bytes, accuracy, {})

    def flow(self, seed: int) -> Program:
        """Measure the flow, which starts its temporary server."""
        return self._flow(FLOW, seed, self._at_home("home"))

    def flow_served(self, seed: int) -> Program:
        """Measure the flow while a server runs, whose start isn't counted."""
        with self._server() as url:
            return self._flow(FLOW_SERVED, seed, self._at_home("served") | {"PREFECT_API_URL": url})

    def without_prefect(self, seed: int) -> Program:
        """Measure the same program with a stand-in for Prefect."""
        return self._flow(WITHOUT, seed, self._environment | {"PYTHONPATH": f"{STAND_IN}{os.pathsep}{ROOT}"})

    def sharded(self, shards: Path, rows: int, epochs: int, seed: int) -> ShardedRun:
        """Measure the flow on shards, tested on MNIST's test digits; its store doesn't stay: it has all rows staged.

        The flow starts its temporary server, unless PREFECT_API_URL names one.
        """
        server = {"PREFECT_API_URL": os.environ["PREFECT_API_URL"]} if "PREFECT_API_URL" in os.environ else {}
        flags = ["--source", str(shards), "--test-source", "mnist", "--epochs", str(epochs), *AS_THEY_ARE]
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="store-") as store:
            command = _flow_command(Path(store), seed, flags)
            finished = run(command, self._at_home("home") | server, watched=True)
            program = _program(FLOW, seed, finished, Path(store))
        anonymous = finished.anonymous_bytes
        return ShardedRun(**dataclasses.asdict(program), rows=rows, epochs=epochs, anonymous_bytes=anonymous)

    def store(self) -> Path:
        """Give a store with a champion, that of the last flow that was measured."""
        return max(self._folder.glob("store-*"), key=lambda store: store.stat().st_mtime)

    def tree_peaks(self) -> dict[str, int]:
        """Give the most memory that all processes of the flow and of the plain script held together."""
        return {
            FLOW: tree_peak_bytes(_flow_command(self._store(), 0, self._epochs), self._at_home("home")),
            PLAIN: tree_peak_bytes(self._plain_command(0), self._environment),
        }

    def _flow(self, name: str, seed: int, environment: dict[str, str]) -> Program:
        store = self._store()
        finished = run(_flow_command(store, seed, self._epochs), environment)
        return _program(name, seed, finished, store)

    def _plain_command(self, seed: int) -> list[str]:
        return [sys.executable, str(SCRIPTS / "keras_plain.py"), "--whole", "--seed", str(seed), *self._epochs]

    def _store(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder, prefix="store-"))

    def _at_home(self, name: str) -> dict[str, str]:
        return self._environment | {"PREFECT_HOME": str(self._folder / name)}

    @contextlib.contextmanager
    def _server(self) -> Iterator[str]:
        """Start a Prefect server, give its address once it answers, and end it."""
        port = _free_port()
        prefect = str(Path(sys.executable).with_name("prefect"))
        command = [prefect, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, cwd=ROOT, env=self._at_home("served"), stdout=quiet, stderr=quiet) as server:
            url = f"http://127.0.0.1:{port}/api"
            try:
                _await_health(f"{url}/health", server)
                time.sleep(SETTLING)
                yield url
            finally:
                _end(server)


def _flow_command(store: Path, seed: int, flags: Sequence[str]) -> list[str]:
    return [sys.executable, "flows/train_flow.py", "--store", str(store), "--seed", str(seed), *flags]


def _program(name: str, seed: int, finished: Finished, store: Path) -> Program:
    """Give a flow's run with what the one version in its store tells."""
    (told,) = store.glob("versions/*/metrics.json")
    metrics = json.loads(told.read_text())
    return Program(name, seed, finished.seconds, finished.peak_bytes, metrics["accuracy"], metrics["seconds"])


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _await_health(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SERVER_PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url):  # noqa: S310, our own
            return
        time.sleep(0.2)
    raise TimeoutError("the Prefect server doesn't answer")


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server and whatever processes it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(family, timeout=15)
        for process in alive:
            process.kill()
