"""Train in this process, with a checkpoint after each block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.training import checkpoints
from tasks.training.job import plan_job
from tasks.training.signals import DeferredSignals

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifacts.store.storage import Storage
    from schemas.recipe import Recipe
    from schemas.results import Dataset, TrainingResult
    from schemas.training import EpochRecord


def train(  # noqa: PLR0913, three inputs and three callbacks
    dataset: Dataset,
    recipe: Recipe,
    work: Storage,
    on_epoch: Callable[[EpochRecord], None],
    log: Callable[[str], None],
    on_block: Callable[[float], None] = lambda _: None,
) -> TrainingResult:
    """Train on the dataset's training images, from the newest checkpoint of the same training if there is one.

    Ctrl-C ends the training after the current block, once its checkpoint is saved. If all images are in memory, an
    epoch is one block.

    Args:
        dataset: Images that passed validation.
        recipe: How to train.
        work: Where the checkpoints are.
        on_epoch: Called with each finished epoch's record.
        log: Called with messages for the run's log.
        on_block: Called after each block with the fraction of the training that is done.

    Raises:
        TrainingError: the loss is no longer finite, or nothing was learned.

    """
    job = plan_job(dataset, recipe, work)
    with job.loader() as loader:
        trainer = job.start_or_resume(loader, log)
        with DeferredSignals() as signals:
            while not trainer.is_finished:
                record = trainer.run_block()
                checkpoints.save(job.checkpoints, trainer.state())  # before a callback can fail
                on_block(trainer.fraction_done)
                if record:
                    on_epoch(record)
                if signals.received:
                    log(f"interrupted {trainer.summary}; the same command resumes from there")
                    break
        return job.result(trainer)
