"""Join the Ray cluster that a run uses, after checks that take seconds."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.settings import PREFECT_API_URL

from schemas.compute import Compute
from schemas.errors import FlagError, InputError, UnavailableError, first_line, missing_extra

CONNECT_SECONDS, HEALTH_CHECK_SECONDS = 10, 60
NOT_RAY = "the server there isn't Ray"


def check_engine(compute: Compute) -> None:
    """Raise InputError if flags contradict each other, or if Ray is missing."""
    if compute.engine == "local":
        for flag, is_set in (("--ray-address", bool(compute.ray_address)), ("--workers", compute.workers > 1)):
            if is_set:
                raise FlagError(f"{flag} needs --engine ray")
        return
    if compute.ray_address.startswith("ray://"):
        raise FlagError(
            f"--ray-address {compute.ray_address}: a Ray client can't train; run the flow on a machine of the cluster "
            "and give host:port or auto"
        )
    if not all(map(importlib.util.find_spec, ("ray", "prefect_ray"))):
        raise missing_extra("--engine ray", "Ray")


def check_shared_server(compute: Compute) -> None:
    """Raise InputError if processes of a Ray cluster are to run Prefect tasks, but no server is named."""
    if compute.engine == "ray" and not PREFECT_API_URL.value():
        raise InputError(
            "--engine ray needs a Prefect server that all its processes reach: without one each would start its own; "
            "start one (`make up`) and set PREFECT_API_URL to its address"
        )


@contextmanager
def cluster(compute: Compute) -> Iterator[None]:
    """Join a Ray cluster inside the `with`, if the engine is Ray: the one at the address, or a new one on this machine.

    Raises UnavailableError when the cluster doesn't answer.
    """
    if compute.engine == "local":
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # as with Prefect's analytics
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # else a call after shutdown would start a new cluster
    import ray

    options: dict[str, Any] = {"address": compute.ray_address, "log_to_driver": False, "logging_level": logging.ERROR}
    fault = f"--ray-address {compute.ray_address}: no Ray cluster answers there"
    if not compute.ray_address:
        n_cpus = max(os.cpu_count() or 1, compute.workers)
        options |= {"address": "local", "num_cpus": n_cpus, "include_dashboard": False}
        fault = "Ray can't be started on this machine"
    try:
        if compute.ray_address:
            _check_answers(compute.ray_address)
        with _keep_sigterm_handler():
            ray.init(**options)
    except (OSError, ValueError, RuntimeError) as error:
        raise UnavailableError(f"{fault} ({first_line(error)})") from error
    try:
        yield
    finally:
        with _keep_sigterm_handler():
            ray.shutdown()


@contextmanager
def _keep_sigterm_handler() -> Iterator[None]:
    """Restore the SIGTERM handler: `ray.init` sets its own, which prints a stack and aborts; `shutdown` the default."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _check_answers(address: str) -> None:
    """Raise OSError unless a Ray cluster answers at host:port: `ray.init` would wait minutes, or retry another server.

    Ray has no such check in Python, only on its command line.
    """
    host, _, port = address.rpartition(":")
    if not host:
        return
    socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--skip-version-check", "--address"]
    try:
        subprocess.check_output(  # noqa: S603, Ray's own program
            [*command, address],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=HEALTH_CHECK_SECONDS,
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(NOT_RAY) from error
    except subprocess.CalledProcessError as error:
        raise OSError((error.stderr.strip().splitlines() or [NOT_RAY])[-1]) from error
