"""A training job: data, recipe, checkpoints and number of workers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Self

import keras

from artifacts.processor import training_precision
from artifacts.store.storage import Storage
from schemas.images import Images
from schemas.recipe import Recipe
from schemas.results import Dataset, TrainingResult
from schemas.training import Precision
from tasks.inference.model import predict_images
from tasks.training import checkpoints
from tasks.training.block_loader import BlockLoader
from tasks.training.fingerprint import fingerprint
from tasks.training.sampling import BlockSampler, block_sampler, split
from tasks.training.teacher import Teacher
from tasks.training.trainer import Trainer
from tasks.training.worker import SINGLE_WORKER, Worker


class TrainingJob(NamedTuple):
    """Everything that a process needs to take part in a training. Picklable.

    `images` are those of an epoch, which has some of the `n_distinct_rows` several times.
    """

    images: Images
    n_distinct_rows: int
    held_out: Images
    recipe: Recipe
    sampler: BlockSampler
    fingerprint: str
    checkpoints: Storage
    n_workers: int
    precision: Precision
    teacher: Teacher | None = None

    def with_teacher(
        self, fit: Callable[..., TrainingResult], log: Callable[[str], None], on_block: Callable[[float], None]
    ) -> Self:
        """Return the job with the recipe's teacher, if it has one; `fit` is called like an engine's, without data."""
        recipe = self.recipe.teacher
        if not recipe:
            return self
        share = recipe.epochs / self.recipe.total_epochs
        result = fit(
            recipe,
            self.checkpoints,  # a folder of its own in there, for as long as this training's
            lambda record: log(f"teacher, epoch {record.epoch}/{recipe.epochs}: {record.summary}"),
            lambda message: log(f"teacher: {message}"),
            lambda fraction: on_block(share * fraction),
        )
        return self._replace(teacher=Teacher(recipe, result.network.get_weights(), result.precision))

    @contextmanager
    def start_or_resume(self, log: Callable[[str], None], worker: Worker = SINGLE_WORKER) -> Iterator[Trainer]:
        """Yield a trainer that loads blocks inside a `with`, restored from the job's newest checkpoint if any."""
        with BlockLoader(self.images, self.sampler, self.recipe.epochs) as loader:
            trainer = Trainer(loader, self.held_out, self.recipe, self.precision, worker, self.teacher)
            state = checkpoints.load_newest(self.checkpoints, log)
            if state:
                trainer.restore(state)
                log(f"resuming {trainer.summary}, from the checkpoint in {self.checkpoints}")
            yield trainer

    def result(self, trainer: Trainer) -> TrainingResult:
        network = trainer.final_network()
        return TrainingResult(
            network=network,
            recipe=self.recipe,
            history=tuple(trainer.history),
            fingerprint=self.fingerprint,
            digest=weights_digest(network),
            training_rows=self.n_distinct_rows,
            validation_rows=len(self.held_out),
            held_out_probabilities=predict_images(network, self.held_out),
            held_out_labels=self.held_out.labels,
            workers=self.n_workers,
            precision=(self.teacher or self).precision,
        )


def plan_job(dataset: Dataset, recipe: Recipe, work: Storage, n_workers: int = 1) -> TrainingJob:
    """Return the job for a dataset and recipe, with its checkpoints in `work` under its fingerprint."""
    images, held_out = split(dataset, recipe)
    name = fingerprint(dataset, recipe, n_workers)
    sampler = block_sampler(dataset, len(images), recipe)
    folder = work.absolute().child(name)
    n_distinct_rows = len(dataset.train) - len(held_out)
    precision = training_precision(recipe.network)
    return TrainingJob(images, n_distinct_rows, held_out, recipe, sampler, name, folder, n_workers, precision)


def weights_digest(network: keras.Model) -> str:
    """Return the SHA-256 of a network's weights."""
    return hashlib.sha256(b"".join(weight.tobytes() for weight in network.get_weights())).hexdigest()
