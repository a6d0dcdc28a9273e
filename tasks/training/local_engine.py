"""Train in this process, with a checkpoint after each block, or after several short epochs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from artifacts.store.storage import Storage
from schemas.recipe import Recipe
from schemas.results import Dataset, TrainingResult
from schemas.training import EpochRecord
from tasks.training import checkpoints
from tasks.training.job import plan_job


def train(  # noqa: PLR0913, three inputs and three callbacks
    dataset: Dataset,
    recipe: Recipe,
    work: Storage,
    on_epoch: Callable[[EpochRecord], None],
    log: Callable[[str], None],
    on_block: Callable[[float], None] = lambda _: None,
) -> TrainingResult:
    """Train on the dataset's training images; resume from the newest checkpoint in `work` of the same training, if any.

    A teacher that the recipe asks for is trained first. Ctrl-C ends the training after the current block, once its
    checkpoint is saved. If all images are in memory, an epoch is one block. After a checkpoint, `on_epoch` is called if
    an epoch has ended, and `on_block` with the fraction of the training that is done; `log` is called with messages,
    those on the teacher's epochs, too.

    Raises TrainingError if the loss is no longer finite, or the training accuracy no better than guessing.
    """
    job = plan_job(dataset, recipe, work).with_teacher(partial(train, dataset), log, on_block)
    with job.start_or_resume(log) as trainer:
        with _deferred_interrupts() as interrupts:
            while not trainer.is_finished:
                record = trainer.run_block()
                if trainer.is_checkpoint_due or interrupts:
                    checkpoints.save(job.checkpoints, trainer.state())  # before a callback can fail
                    on_block(trainer.fraction_done)
                    if record:
                        on_epoch(record)
                if interrupts:
                    log(f"interrupted {trainer.summary}; the same command resumes from there")
                    break
        return job.result(trainer)


@contextmanager
def _deferred_interrupts() -> Iterator[list[int]]:
    """Defer SIGINT inside a `with`: collect it in the yielded list, and raise it again at the end.

    Does nothing outside the main thread, where Python accepts no signal handlers. SIGTERM isn't deferred: Prefect's
    handler for it distinguishes cancelled runs from crashed ones, and the last checkpoint exists anyway.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    previous = signal.signal(signal.SIGINT, lambda number, _frame: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, previous)
        if received:
            signal.raise_signal(signal.SIGINT)
