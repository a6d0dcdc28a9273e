"""Run a program in a process of its own and measure its time and memory.

Linux counts what the parent process holds when it starts a program into that program's peak, so importers stay small.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import psutil

Sample = Callable[[psutil.Process], int]

ROOT = Path(__file__).parents[1]
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
SECONDS_BETWEEN_SAMPLES = 0.1
N_ERROR_LINES = 15


class ProgramError(Exception):
    """A program exited with an error; the message has the last lines it printed."""


class Finished(NamedTuple):
    """A program that succeeded, with the peak memory of its largest process and the highest sample, if any."""

    seconds: float
    peak_bytes: int
    output: str
    sampled_bytes: int | None


def run(command: Sequence[str], environment: Mapping[str, str], sample: Sample | None = None) -> Finished:
    """Run a program in the project's folder and wait for it; `sample` measures its memory ten times a second.

    Raises:
        ProgramError: The program's exit code isn't 0.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err, ThreadPoolExecutor(1) as sampler:
        started = time.perf_counter()
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=err) as process:
            samples = sampler.submit(_sampled_bytes, process.pid, sample) if sample else None
            try:
                _, status, usage = os.wait4(process.pid, 0)  # has the peak memory, which Popen.wait doesn't
            except BaseException:
                process.terminate()
                raise
            seconds = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            last_lines = "\n".join(err.read().splitlines()[-N_ERROR_LINES:])
            raise ProgramError(f"{' '.join(command[1:])}: exit code {process.returncode}\n{last_lines}")
        return Finished(seconds, usage.ru_maxrss * RSS_UNIT, out.read(), samples.result() if samples else None)


def free_port() -> int:
    """Return a port of this machine that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def own_peak_bytes() -> int:
    """Return the peak memory of this process alone."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


def anonymous_bytes(process: psutil.Process) -> int:
    """Return a process's memory without file pages, which the system may drop. Linux only."""
    memory = process.memory_info()
    return int(memory.rss - memory.shared)


def tree_bytes(root: psutil.Process) -> int:
    """Return the memory of a process and its descendants, shared pages counted once. Slows the program down."""
    total = 0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            memory = process.memory_full_info()
            total += getattr(memory, "pss", memory.rss)
    return total


def _sampled_bytes(pid: int, sample: Sample) -> int | None:
    peak = 0
    with contextlib.suppress(psutil.Error, AttributeError):  # the process ended, or the system lacks the metric
        process = psutil.Process(pid)
        while process.status() != psutil.STATUS_ZOMBIE:
            peak = max(peak, sample(process))
            time.sleep(SECONDS_BETWEEN_SAMPLES)
    return peak or None
