"""Train: fit the recipe's network, with its progress in the terminal and in the Prefect UI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.logging import get_run_logger

from tasks.progress import Progress
from tasks.stage import stage

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.recipe import Recipe
    from schemas.results import Dataset, Trained

HEAVY = (
    "artifacts.figures",
    "tasks.scoring.figures_of_merit",
    "tasks.scoring.gate",
    "tasks.sources.csv_table",
    "tasks.training.engine",
    "tasks.validation.inspection",
)


@stage(run_name="train {recipe.network}, {recipe.epochs} epochs")
def train(dataset: Dataset, recipe: Recipe, work: Path) -> Trained:
    """Train on the dataset's training images, with checkpoints in `work`; the test images aren't looked at."""
    from tasks.training.start_up import import_tensorflow

    import_tensorflow()
    from tasks.training import engine

    with Progress(recipe.epochs) as progress:
        return engine.train(
            dataset, recipe, work, progress.epoch_done, get_run_logger().info, on_block=progress.block_done
        )


def preload() -> None:
    """Import what training, evaluating and plotting need, TensorFlow above all; for who has time to spare."""
    from tasks.training import start_up

    start_up.preload(*HEAVY)
