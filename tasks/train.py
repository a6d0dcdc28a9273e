"""Train: fit the recipe's network, with progress in the terminal and the Prefect UI."""

from __future__ import annotations

from functools import partial

from prefect import task
from prefect.logging import get_run_logger

from artifacts.store.storage import Storage
from schemas.compute import Compute
from schemas.recipe import Recipe
from schemas.results import Dataset, TrainingResult
from tasks.inference import start_up
from tasks.orchestration.progress import Progress
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed


@task(task_run_name="train {recipe.network}, {recipe.epochs} epochs", **RETRIED)
@timed
def train(dataset: Dataset, recipe: Recipe, work: Storage, compute: Compute) -> TrainingResult:
    """Train on the dataset's training images, with checkpoints in `work`; separate test images aren't used."""
    start_up.import_tensorflow()
    if compute.engine == "local":
        from tasks.training.local_engine import train as fit
    else:
        from tasks.training import ray_engine  # Ray is an optional dependency

        fit = partial(ray_engine.train, workers=compute.workers)
    log = get_run_logger().info
    with Progress(recipe, 1 + dataset.n_folds) as progress, start_up.memory_errors():
        trained = fit(dataset, recipe, work, progress.epoch_done, log, progress.block_done)
        if not dataset.n_folds:
            return trained
        from tasks.training import cross_validation

        def fit_fold(part: Dataset) -> TrainingResult:
            progress.training_done()
            log("%s", part.name)
            return fit(part, recipe, work.child(trained.fingerprint), lambda _: None, log, progress.block_done)

        return cross_validation.evaluate(dataset, trained, fit_fold)


def preload() -> None:
    """Import the slow libraries that the flow needs later, while a Prefect server starts."""
    start_up.preload(
        "seaborn",
        "artifacts.reports.plots",
        "tasks.scoring.metrics",
        "tasks.scoring.gate",
        "tasks.sources.csv_table",
        "tasks.training.local_engine",
        "tasks.validation.inspection",
    )
