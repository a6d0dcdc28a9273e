"""The Ray cluster that a run computes on, if it is to: checked before anything starts, joined, left at the end."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prefect.settings import PREFECT_API_URL

from schemas.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.compute import Compute

NEEDED = ("ray", "prefect_ray")
THIS_MACHINE = "local"
PATIENCE_SECONDS = 10


def check_engine(compute: Compute) -> None:
    """Raise InputError if what is asked for contradicts itself, or Ray, or the server that it needs, isn't there."""
    if compute.engine == "local":
        if compute.ray_address is not None or compute.workers > 1:
            raise InputError("--ray-address and --workers need --engine ray")
        return
    if (compute.ray_address or "").startswith("ray://"):
        raise InputError(
            f"--ray-address {compute.ray_address}: Ray's client can't train; run the flow on a machine of the cluster "
            "and give host:port or auto"
        )
    if not all(map(importlib.util.find_spec, NEEDED)):
        raise InputError("--engine ray: Ray isn't installed; pip install '.[ray]' does that")
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
    import ray

    here = {"num_cpus": max(os.cpu_count() or 1, compute.workers), "include_dashboard": False}
    try:
        _knock(compute.ray_address)
        ray.init(
            compute.ray_address or THIS_MACHINE,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if compute.ray_address else here),
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise UnavailableError(
            f"--ray-address {compute.ray_address}: no Ray cluster answers there ({str(error).splitlines()[0]})"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    """Raise OSError if nobody listens at host:port: Ray itself would ask for a quarter of an hour."""
    host, _, port = (address or "").rpartition(":")
    if host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_SECONDS).close()
