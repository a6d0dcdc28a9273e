"""Run a program in a process of its own and tell how long it took and what memory it held.

Linux counts what the starting process held at that moment into a new process's peak: whoever imports this stays small.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
SECONDS_BETWEEN_SAMPLES = 0.1
TOLD_LINES = 15
ANONYMOUS = re.compile(r"^RssAnon:\s+(\d+) kB", re.MULTILINE)


class FailedError(Exception):
    """Tell that a program ended badly, with the end of what it printed."""


class Finished(NamedTuple):
    """A program that ended well. `peak_bytes` is that of its largest process.

    `anonymous_bytes` is the most that its first process held of memory that is no file's, where it was watched.
    """

    seconds: float
    peak_bytes: int
    output: str
    anonymous_bytes: int | None = None


def run(command: Sequence[str], environment: Mapping[str, str], *, watched: bool = False) -> Finished:
    """Run a program from the project's folder and wait for it; raise FailedError unless it exits with 0.

    One that is watched has a file of the system read ten times a second, which costs it nothing.
    """
    with (
        ThreadPoolExecutor(1) as watch,
        tempfile.TemporaryFile("w+") as printed,
        tempfile.TemporaryFile("w+") as complained,
    ):
        started = time.perf_counter()
        with _started(command, environment, printed.fileno(), complained.fileno()) as process:
            anonymous = watch.submit(_anonymous_peak, process.pid) if watched else None
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
        for stream in (printed, complained):
            stream.seek(0)
        if process.returncode:
            end = "\n".join(complained.read().splitlines()[-TOLD_LINES:])
            raise FailedError(f"{' '.join(command[1:])} exited with {process.returncode}\n{end}")
        return Finished(seconds, usage.ru_maxrss * RSS_UNIT, printed.read(), anonymous and anonymous.result())


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


def _anonymous_peak(process: int) -> int | None:
    """Give the most anonymous memory that a process holds until its end; None where the system doesn't tell it."""
    peak = None
    with contextlib.suppress(OSError):
        while told := ANONYMOUS.search(Path(f"/proc/{process}/status").read_text()):
            peak = max(peak or 0, int(told[1]) * 1024)
            time.sleep(SECONDS_BETWEEN_SAMPLES)
    return peak


def _held(root: psutil.Process) -> int:
    total = 0
    with contextlib.suppress(psutil.Error):
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                held = process.memory_full_info()
                total += getattr(held, "pss", held.rss)  # what is shared is told apart on Linux alone
    return total
