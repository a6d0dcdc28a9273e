"""The Ray cluster that a run computes on, if it is to: checked before anything starts, joined, left at the end."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from prefect.settings import PREFECT_API_URL

from schemas.errors import InputError, UnavailableError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.compute import Compute

NEEDED = ("ray", "prefect_ray")
THIS_MACHINE = "local"
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
KNOCKING_SECONDS, ASKING_SECONDS = 10, 60


def check_engine(compute: Compute) -> None:
    """Raise InputError if what is asked for contradicts itself, or Ray, or the server that it needs, isn't there."""
    if compute.engine == "local":
        for flag, given in (("--ray-address", compute.ray_address is not None), ("--workers", compute.workers > 1)):
            if given:
                raise InputError(f"{flag} needs --engine ray")
        return
    if (compute.ray_address or "").startswith("ray://"):
        raise InputError(
            f"--ray-address {compute.ray_address}: Ray's client can't train; run the flow on a machine of the cluster "
            "and give host:port or auto"
        )
    if not all(map(importlib.util.find_spec, NEEDED)):
        raise InputError(
            "--engine ray: Ray isn't installed; "
            "pip install --require-hashes --requirement requirements-ray.txt does that"
        )
    if not PREFECT_API_URL.value():
        raise InputError(
            "--engine ray needs a Prefect server that all its processes reach, or each would start one of its own: "
            "start one (`make up`, `prefect server start`) and name it in PREFECT_API_URL"
        )


@contextmanager
def joined(compute: Compute) -> Iterator[None]:
    """Be part of a Ray cluster inside the `with`, if the engine is Ray: of the one named or one of this machine alone.

    Raises UnavailableError when the cluster doesn't answer.
    """
    if compute.engine == "local":
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # as with Prefect's analytics
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # or who still asks for something at the end would begin anew
    import ray

    there = "Ray can't be started on this machine"
    try:
        if compute.ray_address:
            there = f"--ray-address {compute.ray_address}: no Ray cluster answers there"
            _check_answers(compute.ray_address)
            start = partial(ray.init, compute.ray_address)
        else:
            processors = max(os.cpu_count() or 1, compute.workers)
            start = partial(ray.init, THIS_MACHINE, num_cpus=processors, include_dashboard=False)
        with _own_sigterm():
            start(**QUIET)
    except (OSError, ValueError, RuntimeError) as error:
        raise UnavailableError(f"{there} ({first_line(error)})") from error
    try:
        yield
    finally:
        with _own_sigterm():
            ray.shutdown()


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Have SIGTERM end this process as before the `with`: Ray takes it over, and at its end sets it to its default.

    It would print where it stood and abort, or later end without a word.
    """
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _check_answers(address: str) -> None:
    """Raise OSError unless Ray answers at host:port: it would itself ask nobody, or another server, for minutes."""
    host, _, port = address.rpartition(":")
    if not host:
        return
    socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCKING_SECONDS).close()
    ask = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--skip-version-check", "--address", address]
    try:
        ended = subprocess.run(  # noqa: S603, Ray's own program
            ask, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ASKING_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise OSError("what listens there isn't Ray") from error
    if ended.returncode:
        raise OSError((ended.stderr.strip().splitlines() or ["what listens there isn't Ray"])[-1])
