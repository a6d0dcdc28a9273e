"""Measure the wall time of each task that a version has behind it when it is published."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

import psutil

P = ParamSpec("P")
R = TypeVar("R")

_seconds: ContextVar[dict[str, float]] = ContextVar("seconds")


def timed(function: Callable[P, R]) -> Callable[P, R]:
    """Record the wall time of the last finished call in the surrounding `stopwatch()`, if any."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        started = time.perf_counter()
        result = function(*args, **kwargs)
        _seconds.get({})[function.__name__] = time.perf_counter() - started
        return result

    return wrapper


@contextmanager
def stopwatch() -> Iterator[Callable[[], dict[str, float]]]:
    """Measure the timed functions inside the `with`; yield a function that returns the seconds so far.

    The seconds are those of the process's start-up, of each finished task, and of Prefect between the tasks.
    """
    start_up, started = time.time() - psutil.Process().create_time(), time.perf_counter()
    token = _seconds.set({})
    seconds = _seconds.get()
    try:
        yield lambda: {
            "start-up": start_up,
            **seconds,
            "orchestration": time.perf_counter() - started - sum(seconds.values()),
        }
    finally:
        _seconds.reset(token)
