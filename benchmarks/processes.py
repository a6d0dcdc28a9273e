"""Run a program in a process of its own and tell how long it took and what memory it held.

Linux counts what the starting process held at that moment into a new process's peak: whoever imports this stays small.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
SECONDS_BETWEEN_SAMPLES = 0.1
TOLD_LINES = 15


class FailedError(Exception):
    """Tell that a program ended badly, with the end of what it printed."""


class Finished(NamedTuple):
    """A program that ended well. `peak_bytes` is that of its largest process."""

    seconds: float
    peak_bytes: int
    output: str


def run(command: Sequence[str], environment: Mapping[str, str]) -> Finished:
    """Run a program from the project's folder and wait for it; raise FailedError unless it exits with 0."""
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as complained:
        started = time.perf_counter()
        with _started(command, environment, printed.fileno(), complained.fileno()) as process:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
        for stream in (printed, complained):
            stream.seek(0)
        if process.returncode:
            end = "\n".join(complained.read().splitlines()[-TOLD_LINES:])
            raise FailedError(f"{' '.join(command[1:])} exited with {process.returncode}\n{end}")
        return Finished(seconds, usage.ru_maxrss * RSS_UNIT, printed.read())


def tree_peak_bytes(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program and give the most that all its processes held together, shared pages counted once.

    It is looked at ten times a second, which costs the program time: such a run isn't timed.
    """
    peak = 0
    with _started(command, environment, subprocess.DEVNULL, subprocess.DEVNULL) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, _held(root))
            time.sleep(SECONDS_BETWEEN_SAMPLES)
    if process.returncode:
        raise FailedError(f"{' '.join(command[1:])} exited with {process.returncode}")
    return peak


@contextlib.contextmanager
def _started(
    command: Sequence[str], environment: Mapping[str, str], printed: int, complained: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program, and end it if whoever waits for it is interrupted."""
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=printed, stderr=complained)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            process.wait()


def _held(root: psutil.Process) -> int:
    total = 0
    with contextlib.suppress(psutil.Error):
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                held = process.memory_full_info()
                total += getattr(held, "pss", held.rss)  # what is shared is told apart on Linux alone
    return total
