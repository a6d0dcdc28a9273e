"""Measure the wall time of each task of a flow."""

from __future__ import annotations

import functools
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
R = TypeVar("R")

START_UP = "start-up"
ORCHESTRATION = "orchestration"

_seconds: ContextVar[dict[str, float] | None] = ContextVar("seconds", default=None)


def timed(function: Callable[P, R]) -> Callable[P, R]:
    """Record the wall time of the last call in the surrounding `stopwatch()`, if any."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds = _seconds.get()
            if seconds is not None:
                seconds[function.__name__] = time.perf_counter() - started

    return wrapper


class Stopwatch:
    """The wall time of a flow, by task."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._start_up = time.time() - psutil.Process().create_time()
        self._started = time.perf_counter()

    def seconds(self) -> dict[str, float]:
        """Return the seconds of the process's start-up, of each finished task, and of Prefect between them."""
        orchestration = time.perf_counter() - self._started - sum(self._seconds.values())
        return {START_UP: self._start_up, **self._seconds, ORCHESTRATION: orchestration}


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Measure the timed functions that run inside the `with`."""
    seconds: dict[str, float] = {}
    token = _seconds.set(seconds)
    try:
        yield Stopwatch(seconds)
    finally:
        _seconds.reset(token)
