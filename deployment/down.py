"""Stop the server and the worker that a killed `make up` left running.

Flow runs have their own processes and continue.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import psutil

PREFECT_HOME = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
RECORD = PREFECT_HOME / "make-up.json"
STOP_SECONDS = 60


def write_record(pids: dict[str, int]) -> None:
    """Write each process's name, PID and start time, which distinguishes it from a later process with the same PID."""
    RECORD.write_text(
        json.dumps({name: [pid, psutil.Process(pid).create_time()] for name, pid in pids.items()}), "utf-8"
    )


def recorded_processes() -> dict[str, psutil.Process]:
    """Return the recorded processes that still run, by name."""
    running = {}
    with contextlib.suppress(FileNotFoundError, ValueError):
        for name, (pid, create_time) in json.loads(RECORD.read_text("utf-8")).items():
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if process.create_time() == create_time and process.status() != psutil.STATUS_ZOMBIE:
                    running[name] = process
    return running


def main() -> None:
    """Stop `make up`, which stops the others; if it isn't running, stop each of them."""
    processes = recorded_processes()
    if not processes:
        print("no process of make up is running")
        return
    for process in [processes["make up"]] if "make up" in processes else processes.values():
        process.terminate()
    _, alive = psutil.wait_procs(processes.values(), STOP_SECONDS)
    for process in alive:
        process.kill()
    RECORD.unlink(missing_ok=True)
    print(f"stopped: {', '.join(processes)}")


if __name__ == "__main__":
    main()
