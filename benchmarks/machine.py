"""Say what the benchmark runs on."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

import psutil

CPU_INFO = Path("/proc/cpuinfo")


def describe() -> dict[str, str]:
    """Give processor, cores, memory, system and Python, without anything that names this one machine."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.system(),
        "Python": platform.python_version(),
    }


def today() -> str:
    """Give the date, UTC's."""
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def _processor() -> str:
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
