"""Measure what a run costs: processor time and memory of this process and of those that it started."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress

import psutil

from schemas.run import Resources


def measure() -> Resources:
    """Return the resources that this process and its child processes, such as a temporary server, have used so far."""
    process = psutil.Process()
    cpu_seconds = sum(process.cpu_times()[:4])  # also of children that have ended
    unit = 1 if sys.platform == "darwin" else 1024
    n_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    for child in process.children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            cpu_seconds += sum(child.cpu_times()[:2])
            n_bytes += child.memory_info().rss
    return Resources(cpu_seconds, n_bytes / 2**20)
