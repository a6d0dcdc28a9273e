"""End what `make up` started and couldn't end itself, because it was killed: its server, its worker.

A run that is under way in a process of its own goes on.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import psutil

RECORD = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser() / "make-up.json"
PATIENCE = 60


def record(processes: dict[str, int]) -> None:
    """Note the processes by name, each with the time of its start: numbers are given again."""
    started = {name: [number, psutil.Process(number).create_time()] for name, number in processes.items()}
    RECORD.write_text(json.dumps(started))


def running() -> dict[str, psutil.Process]:
    """Give the processes on record that still run, by name."""
    try:
        noted = json.loads(RECORD.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    found = {}
    for name, (number, started) in noted.items():
        if psutil.pid_exists(number):
            process = psutil.Process(number)
            if process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE:
                found[name] = process
    return found


def main() -> None:
    """End them: `make up` itself, if it is there, and with it the others; else each by itself."""
    found = running()
    if not found:
        print("nothing of make up is running")
        return
    first = [found["make up"]] if "make up" in found else list(found.values())
    for process in first:
        process.terminate()
    _, left = psutil.wait_procs(found.values(), PATIENCE)
    for process in left:
        process.kill()
    RECORD.unlink(missing_ok=True)
    print(f"ended: {', '.join(found)}")


if __name__ == "__main__":
    sys.exit(main())
