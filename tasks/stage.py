"""Make a step a Prefect task, and measure what the steps take."""

from __future__ import annotations

import errno
import functools
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

import httpx
import psutil
from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefect import State
    from prefect.tasks import Task

P = ParamSpec("P")
R = TypeVar("R")

START_UP = "start-up"
ORCHESTRATION = "orchestration"

RETRY_AFTER_SECONDS = [5, 15, 45, 90]  # a server that is started anew, a disk that is mounted again
PASSING = {
    errno.EAGAIN, errno.EBUSY, errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.ETIMEDOUT,
    errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EHOSTUNREACH, errno.ENETUNREACH,
}  # fmt: skip
"""What ails a disk or a network for a while; other errors of the kind `OSError` stay: no such file, no picture."""

_stages: ContextVar[dict[str, float] | None] = ContextVar("stages", default=None)


@overload
def stage(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def stage(*, run_name: str | None = None, retried: bool = True) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def stage(
    function: Callable[P, R] | None = None, /, *, run_name: str | None = None, retried: bool = True
) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
    """Make a step a Prefect task, named after it and timed; its run is called by `run_name`, filled with the arguments.

    It is tried again, after a while, when its fault is one that may pass; bad data fails at once. Nothing is cached:
    Prefect would hash whole frames and models on every call to find a key.
    """
    if function is None:
        return functools.partial(_stage, run_name=run_name, retried=retried)
    return _stage(function, run_name=run_name, retried=retried)


def may_pass(error: BaseException | None) -> bool:
    """Tell whether what went wrong may be right in a minute: the network, the server, a full or stalled disk."""
    while error is not None:
        if isinstance(error, (UnavailableError, httpx.TransportError)):
            return True
        if isinstance(error, OSError) and error.errno in PASSING:
            return True
        error = error.__cause__
    return False


def _stage(function: Callable[P, R], *, run_name: str | None, retried: bool) -> Task[P, R]:
    @functools.wraps(function)
    def timed(*args: P.args, **kwargs: P.kwargs) -> R:
        with _timed(function.__name__):
            return function(*args, **kwargs)

    return task(
        name=function.__name__,
        task_run_name=run_name or function.__name__.replace("_", " "),
        cache_policy=NO_CACHE,
        retries=len(RETRY_AFTER_SECONDS) if retried else 0,
        retry_delay_seconds=[*map(float, RETRY_AFTER_SECONDS)],
        retry_condition_fn=_is_retried,
    )(timed)


@contextmanager
def _timed(name: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        stages = _stages.get()
        if stages is not None:
            stages[name] = time.perf_counter() - started


def _is_retried(_task: Task[..., Any], _run: object, state: State[Any]) -> bool:
    return may_pass(state.data if isinstance(state.data, BaseException) else None)


class Stopwatch:
    """Tells where the time of a flow went."""

    def __init__(self, stages: dict[str, float]) -> None:
        """Begin now; `start-up` is what the process spent before."""
        self._stages = stages
        self._start_up = time.time() - psutil.Process().create_time()
        self._started = time.perf_counter()

    def seconds(self) -> dict[str, float]:
        """Give the seconds of the start-up, of each stage so far, and of what Prefect did in between."""
        around = time.perf_counter() - self._started - sum(self._stages.values())
        return {START_UP: self._start_up, **self._stages, ORCHESTRATION: around}


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Measure the stages that run inside the `with`."""
    stages: dict[str, float] = {}
    token = _stages.set(stages)
    try:
        yield Stopwatch(stages)
    finally:
        _stages.reset(token)
