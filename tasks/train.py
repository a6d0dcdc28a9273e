"""Train: fit the recipe's network, with progress in the terminal and the Prefect UI."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from prefect import task
from prefect.logging import get_run_logger

from tasks.orchestration.progress import Progress
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifacts.store.storage import Storage
    from schemas.compute import Compute
    from schemas.recipe import Recipe
    from schemas.results import Dataset, TrainingResult

HEAVY = (
    "artifacts.reports.plots",
    "tasks.scoring.metrics",
    "tasks.scoring.gate",
    "tasks.sources.csv_table",
    "tasks.training.local_engine",
    "tasks.validation.inspection",
)
"""Modules that take long to import and are needed after the start."""


@task(task_run_name="train {recipe.network}, {recipe.epochs} epochs", **RETRIED)
@timed
def train(dataset: Dataset, recipe: Recipe, work: Storage, compute: Compute) -> TrainingResult:
    """Train on the dataset's training images, with checkpoints in `work`; the test images aren't used."""
    from tasks.inference.start_up import import_tensorflow

    import_tensorflow()
    with Progress(recipe.epochs) as progress:
        return _engine(compute)(
            dataset, recipe, work, progress.epoch_done, get_run_logger().info, on_block=progress.block_done
        )


def _engine(compute: Compute) -> Callable[..., TrainingResult]:
    if compute.engine == "local":
        from tasks.training import local_engine

        return local_engine.train
    from tasks.training import ray_engine  # Ray is an optional dependency

    return partial(ray_engine.train, workers=compute.workers)


def preload() -> None:
    """Import what the flow needs after its start, while it waits for Prefect."""
    from tasks.inference import start_up

    start_up.preload(*HEAVY)
