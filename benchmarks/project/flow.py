"""Run `flows/train_flow.py` as a user does, with an empty store; other flags than those below are passed on to it.

Prefect's settings are the defaults, its database is the benchmark's own.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from inputs import environment, flow_command, shards
from processes import anonymous_bytes, free_port, run
from timing import flag_parser

HOST = "127.0.0.1"
SERVER_TIMEOUT_SECONDS = 120.0
SETTLING_SECONDS = 5.0  # a server that has just answered is still busy with its start


def main() -> None:
    parser = flag_parser(__doc__)
    parser.add_argument("--server", action="store_true", help="start a Prefect server first; its start isn't counted")
    parser.add_argument("--again", action="store_true", help="run it a second time, when nothing has changed")
    parser.add_argument("--shards", type=int, help="train on a data set of this many rows, test on MNIST's test rows")
    parser.add_argument("--epochs", type=int)
    options, flags = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the server, too
    epochs = 1 if options.quick else options.epochs
    flags += ["--epochs", str(epochs)] if epochs else []
    if options.shards:
        source = shards(options.data, options.shards, quick=options.quick)
        flags += ["--source", str(source), "--test-source", "mnist"]
    with contextlib.ExitStack() as stack:
        home = environment(options.work, "server" if options.server else "prefect")
        if options.server:
            home |= {"PREFECT_API_URL": stack.enter_context(server(home))}
        store = stack.enter_context(tempfile.TemporaryDirectory(dir=options.work, prefix="store-"))
        metrics = [run_flow(Path(store), options.seed, flags, home)]
        if options.again:
            command = flow_command(Path(store), options.seed, *flags)
            metrics.append({"case": "unchanged", "process_seconds": run(command, home).seconds})
        print(json.dumps(metrics))


def run_flow(store: Path, seed: int, flags: list[str], home: dict[str, str]) -> dict[str, object]:
    """Run the flow and return its metrics, those that its only version has included."""
    finished = run(flow_command(store, seed, *flags), home, sample=anonymous_bytes)
    (path,) = store.glob("versions/*/metrics.json")
    metrics = json.loads(path.read_text())
    return {
        "process_seconds": finished.seconds,
        "peak_bytes": finished.peak_bytes,
        "anonymous_bytes": finished.sampled_bytes,
        "rows": metrics["dataset"]["training_rows"] + metrics["dataset"]["validation_rows"],
        "batch": metrics["recipe"]["batch_size"],
        "epochs": len(metrics["history"]),
        "accuracy": metrics["accuracy"],
        "stages": metrics["seconds"],
        "epoch_seconds": [epoch["seconds"] for epoch in metrics["history"]],
    }


@contextlib.contextmanager
def server(home: dict[str, str]) -> Iterator[str]:
    """Start a Prefect server, yield its address once it answers, and end it."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("prefect")), "server", "start", "--host", HOST, "--port", str(port)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=home, stdout=quiet, stderr=quiet, start_new_session=True) as process:
        try:
            wait_until_healthy(f"http://{HOST}:{port}/api/health", process)
            time.sleep(SETTLING_SECONDS)
            yield f"http://{HOST}:{port}/api"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SERVER_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url):  # noqa: S310, our own
            return
        time.sleep(0.2)
    raise TimeoutError("the Prefect server doesn't answer")


if __name__ == "__main__":
    main()
