"""Run trainings on the Ray cluster that this process has joined, each with its share of the CPUs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import ray

from schemas.errors import TrainingError
from schemas.results import Dataset
from tasks.inference.start_up import limit_threads
from tasks.training.ray_engine import cpus_per_worker
from tasks.tuning.workers import PROCESS_ENDED, Workers

R = TypeVar("R")


class RayWorkers(Workers):
    """Workers on any machine of the cluster. Ray repeats a training once if its process or machine is lost."""

    def __init__(self, dataset: Dataset, n_workers: int) -> None:
        super().__init__(dataset, n_workers)
        nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        self._n_cpus = cpus_per_worker(nodes, n_workers)
        self._shared = ray.put(self._dataset)
        self._call = ray.remote(num_cpus=self._n_cpus, max_retries=1, scheduling_strategy="SPREAD")(_call)

    def run(self, function: Callable[..., R], *arguments: object) -> R:
        try:
            result: R = ray.get(self._call.remote(self._shared, self._n_cpus, function, *arguments))
        except ray.exceptions.RayTaskError as error:  # its message would be a traceback
            raise error.cause from error
        except ray.exceptions.RayError as error:
            raise TrainingError(PROCESS_ENDED) from error
        return result

    def _start(self) -> None:
        """Start nothing: Ray starts processes where CPUs are free."""


def _call(dataset: Dataset, n_cpus: int, function: Callable[..., R], *arguments: object) -> R:
    limit_threads(n_cpus)
    return function(dataset, *arguments)
