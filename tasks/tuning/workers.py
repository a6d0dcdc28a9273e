"""Run trainings in several processes, each with its share of the cores, or in this one."""

from __future__ import annotations

import dataclasses
import gc
import logging
import os
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from queue import SimpleQueue
from threading import Thread
from typing import Self, TypeVar

from schemas.errors import InputError, TrainingError, first_line
from schemas.results import Dataset
from tasks.inference.start_up import limit_threads

R = TypeVar("R")
T = TypeVar("T")
PROCESS_ENDED = "its process ended; the system may have ended it for lack of memory"
_dataset: Dataset
"""The dataset of a worker's process."""


class Workers:
    """Processes that train on a dataset, inside a `with`. A single worker is this process."""

    def __init__(self, dataset: Dataset, n_workers: int) -> None:
        self.n_workers = n_workers
        self._dataset = dataclasses.replace(dataset, read_items=None)  # it holds the source's rows, and can't be sent
        self._idle: SimpleQueue[ProcessPoolExecutor | None] = SimpleQueue()

    def __enter__(self) -> Self:
        for _ in range(self.n_workers):
            self._idle.put(self._start())
        return self

    def __exit__(self, *_error: object) -> None:
        while not self._idle.empty():
            if process := self._idle.get():
                process.shutdown(wait=False, cancel_futures=True)

    def run(self, function: Callable[..., R], *arguments: object) -> R:
        """Call a function with the dataset in the next idle worker and return its result.

        Raises TrainingError if its process ends; others go on.
        """
        process = self._idle.get()
        try:
            if process is None:
                return function(self._dataset, *arguments)
            return process.submit(_call, function, *arguments).result()
        except BrokenProcessPool as error:
            process = self._start()
            raise TrainingError(PROCESS_ENDED) from error
        finally:
            self._idle.put(process)

    def map(self, function: Callable[[Dataset, T], R], arguments: Iterable[T], failed: R) -> list[R]:
        """Call a function with the dataset and each argument; return the results, or `failed`, in their order."""

        def run(argument: T) -> R:
            try:
                return self.run(function, argument)
            except (TrainingError, InputError, MemoryError) as error:
                logging.getLogger(__name__).warning("a training failed: %s", first_line(error))
                return failed

        with ThreadPoolExecutor(self.n_workers) as threads:
            return list(threads.map(run, arguments))

    def _start(self) -> ProcessPoolExecutor | None:
        """Start a process of its own for a worker, so that one that ends takes no other with it."""
        if self.n_workers == 1:
            return None
        threads = max(1, (os.cpu_count() or 1) // self.n_workers)
        return ProcessPoolExecutor(1, get_context("spawn"), _initialize, (self._dataset, threads))


def _initialize(dataset: Dataset, threads: int) -> None:
    """Prepare a worker's process."""
    global _dataset  # noqa: PLW0603, sent once, not with each trial
    _dataset = dataset
    gc.enable()  # a script's imports disable it
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    Thread(target=_end_with_parent, daemon=True).start()
    limit_threads(threads)


def _end_with_parent() -> None:
    """End this process when the run is gone, even if it was killed."""
    parent = parent_process()
    assert parent is not None  # noqa: S101, only workers call this
    parent.join()
    os._exit(1)


def _call(function: Callable[..., R], *arguments: object) -> R:
    return function(_dataset, *arguments)
