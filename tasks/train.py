"""Train: fit the recipe's network, with its progress in the terminal and in the Prefect UI."""

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
    "tasks.training.engine",
    "tasks.validation.inspection",
)


@task(task_run_name="train {recipe.network}, {recipe.epochs} epochs", **RETRIED)
@timed
def train(dataset: Dataset, recipe: Recipe, work: Storage, compute: Compute) -> TrainingResult:
    """Train on the dataset's training images, with checkpoints in `work`; the test images aren't looked at."""
    from tasks.inference.start_up import import_tensorflow

    import_tensorflow()
    with Progress(recipe.epochs) as progress:
        return _engine(compute)(
            dataset, recipe, work, progress.epoch_done, get_run_logger().info, on_block=progress.block_done
        )


def _engine(compute: Compute) -> Callable[..., TrainingResult]:
    """Give what trains: this process, or Ray's workers, whose library is only there if it was asked for."""
    if compute.engine == "local":
        from tasks.training import engine

        return engine.train
    from tasks.training import ray_engine

    return partial(ray_engine.train, workers=compute.workers)


def preload() -> None:
    """Import what training, evaluating and plotting need, TensorFlow above all; for who has time to spare."""
    from tasks.inference import start_up

    start_up.preload(*HEAVY)
