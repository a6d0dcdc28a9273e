"""Make a step a Prefect task, and measure what the steps take."""

from __future__ import annotations

import functools
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import psutil
from prefect import task
from prefect.cache_policies import NO_CACHE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefect.tasks import Task

P = ParamSpec("P")
R = TypeVar("R")

START_UP = "start-up"
ORCHESTRATION = "orchestration"

_stages: ContextVar[dict[str, float] | None] = ContextVar("stages", default=None)


def stage(function: Callable[P, R]) -> Task[P, R]:
    """Make a step a Prefect task, named after it and timed.

    Nothing is cached: Prefect would hash whole frames and models on every call to find a key.
    """

    @functools.wraps(function)
    def timed(*args: P.args, **kwargs: P.kwargs) -> R:
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            stages = _stages.get()
            if stages is not None:
                stages[function.__name__] = time.perf_counter() - started

    return task(name=function.__name__, cache_policy=NO_CACHE)(timed)


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
