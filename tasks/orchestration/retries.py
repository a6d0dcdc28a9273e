"""Retry options that this project's tasks pass to Prefect's `@task(...)`."""

from __future__ import annotations

import errno
from typing import Any

import httpx
from prefect import State, Task
from prefect.cache_policies import NO_CACHE

from schemas.errors import UnavailableError

TRANSIENT_ERRNOS = {
    errno.EAGAIN, errno.EBUSY, errno.EIO, errno.ESTALE, errno.ETIMEDOUT,
    errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EHOSTUNREACH, errno.ENETUNREACH,
}  # fmt: skip
"""Transient disk and network errors. Others, such as a missing file or a full disk, are permanent."""


def is_transient(error: object) -> bool:
    """Check whether an error, or one that caused it, is transient: network, server, a stalled disk."""
    if isinstance(error, (UnavailableError, httpx.TransportError)):
        return True
    if isinstance(error, OSError) and error.errno in TRANSIENT_ERRNOS:
        return True
    return isinstance(error, BaseException) and is_transient(error.__cause__)


def _is_retryable(_task: Task[..., Any], _run: object, state: State[Any]) -> bool:
    return is_transient(state.data)


# Prefect would hash whole frames and models on every call to find a cache key.
ONCE: dict[str, Any] = {"cache_policy": NO_CACHE}
"""Options of a task that must not run twice, since a second run would repeat its effect."""
RETRIED: dict[str, Any] = ONCE | {
    "retries": 4,
    "retry_delay_seconds": [5.0, 15.0, 45.0, 90.0],  # time for a server to restart or a disk to be remounted
    "retry_condition_fn": _is_retryable,
}
"""Options of every other task: transient errors are retried, bad data fails at once."""
