"""Compute with pieces of an array in threads, each of which multiplies matrices on one processor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from tasks.sharding.memory import WORKERS

Result = TypeVar("Result")


def map_in_threads(function: Callable[[slice], Result], pieces: Iterable[slice]) -> list[Result]:
    """Call a function on pieces in threads; return the results in the pieces' order.

    BLAS is limited to one thread per product. Its own threads gain little on products so narrow, and wait for each
    other by spinning, which takes several times as long when other processes are busy.
    """
    pieces = list(pieces)
    with _blas_libraries().limit(limits=1, user_api="blas"):
        if len(pieces) == 1:
            return [function(pieces[0])]
        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(function, pieces))


@cache  # finding them takes a millisecond
def _blas_libraries() -> ThreadpoolController:
    return ThreadpoolController()
