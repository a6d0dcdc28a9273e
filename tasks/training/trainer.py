"""The training loop: network, optimiser, compiled training step, and history."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.stats import binomtest

from schemas.errors import TrainingError
from schemas.images import Images, InMemoryImages
from schemas.recipe import Recipe
from schemas.training import EpochRecord, Precision
from tasks.inference.predictor import predictor
from tasks.training.block import compile_block
from tasks.training.block_loader import BlockLoader
from tasks.training.checkpoints import EpochProgress, TrainingState
from tasks.training.networks import build_network, build_optimizer
from tasks.training.teacher import Teacher
from tasks.training.worker import SINGLE_WORKER, Worker

GRACE_EPOCHS, GRACE_STEPS = 3, 100
"""Before both are reached, a training accuracy no better than guessing isn't an error."""
CHANCE_SIGNIFICANCE = 0.01
MAX_CHECKPOINTS = 100
"""A checkpoint costs about as much as ten steps on few rows."""


class Trainer:
    """Trains a network block by block. Between two blocks, `state` returns all that `restore` needs to resume.

    Each of several workers that train together has its own trainer.
    """

    def __init__(  # noqa: PLR0913, the parts of a training
        self,
        loader: BlockLoader,
        held_out: Images,
        recipe: Recipe,
        precision: Precision,
        worker: Worker = SINGLE_WORKER,
        teacher: Teacher | None = None,
    ) -> None:
        self.recipe = recipe
        self.history: list[EpochRecord] = []
        self._best: list[NDArray[np.generic]] = []
        self._progress = EpochProgress()
        self._loader, self._sampler, self._labels = loader, loader.sampler, loader.images.labels
        self._held_out = InMemoryImages(held_out.read(slice(None)), held_out.labels)
        with worker.strategy.scope():
            predict = teacher.predictor() if teacher else None
            self.network = build_network(recipe)
            self._steps_per_epoch = math.ceil(len(self._labels) / recipe.batch_size)
            self._optimizer = build_optimizer(recipe, self._steps_per_epoch)
            self._optimizer.build(self.network.trainable_variables)
        self._train_block = compile_block(self.network, self._optimizer, recipe, worker, precision, predict)
        self._predict = predictor(self.network)

    @property
    def n_epochs(self) -> int:
        return len(self.history)

    @property
    def is_finished(self) -> bool:
        out_of_patience = 0 < self.recipe.patience <= self._epochs_without_improvement()
        return self.n_epochs >= self.recipe.epochs or out_of_patience

    @property
    def is_checkpoint_due(self) -> bool:
        """Whether the state should be saved now: after one of several blocks, or after up to 100 of the epochs."""
        interval = math.ceil(self.recipe.epochs / MAX_CHECKPOINTS)
        return self._progress.n_blocks > 0 or self.n_epochs % interval == 0 or self.is_finished

    @property
    def summary(self) -> str:
        """The position in the training: `after epoch 4 of 14 and block 2 of 11`."""
        epochs = f"after epoch {self.n_epochs} of {self.recipe.epochs}"
        n_blocks = self._progress.n_blocks
        return f"{epochs} and block {n_blocks} of {self._sampler.n_blocks}" if n_blocks else epochs

    @property
    def fraction_done(self) -> float:
        """The share of all epochs, the teacher's included, that is done."""
        n_epochs = self.recipe.teacher_epochs + self.n_epochs + self._progress.n_blocks / self._sampler.n_blocks
        return n_epochs / self.recipe.total_epochs

    def run_block(self) -> EpochRecord | None:
        """Train on the next block; after the last block of an epoch, validate it and return its record.

        Raises TrainingError if loss or weights are no longer finite, or the training accuracy is no better than
        guessing.
        """
        started, before = time.perf_counter(), self._progress
        number = self.n_epochs * self._sampler.n_blocks + before.n_blocks
        seed = tf.constant([self.recipe.seed, number], tf.int32)
        loss, correct = self._train_block(*self._loader.load(number), seed)
        self._progress = EpochProgress(
            n_blocks=before.n_blocks + 1,
            loss=before.loss + float(loss),
            correct=before.correct + int(correct),
            seconds=before.seconds + time.perf_counter() - started,
        )
        self._check_finite(self._progress.loss)
        return self._finish_epoch() if self._progress.n_blocks == self._sampler.n_blocks else None

    def state(self) -> TrainingState:
        variables = [variable.numpy() for variable in self._variables()]
        return TrainingState(variables, self._best, self.history, self._progress)

    def restore(self, state: TrainingState) -> None:
        """Resume from the state of a training with the same fingerprint."""
        for variable, value in zip(self._variables(), state.variables, strict=True):
            variable.assign(value)
        self.history, self._best, self._progress = list(state.history), list(state.best), state.progress

    def final_network(self) -> keras.Model:
        """Return the network with its final weights: the best epoch's, averages, or the last, by the recipe."""
        if self._best:
            self.network.set_weights(self._best)
        else:
            self._optimizer.finalize_variable_values(self.network.trainable_variables)
        return self.network

    def _variables(self) -> list[keras.Variable]:
        return [*self.network.variables, *self._optimizer.variables]

    def _finish_epoch(self) -> EpochRecord:
        started, progress, n_rows = time.perf_counter(), self._progress, len(self._labels)
        with self._averaged_weights():
            validation_loss, validation_accuracy = self._validate()
        record = EpochRecord(
            epoch=self.n_epochs + 1,
            loss=progress.loss / n_rows,
            accuracy=progress.correct / n_rows,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            seconds=progress.seconds + time.perf_counter() - started,
        )
        if validation_loss is not None:
            self._check_finite(validation_loss)
        self._check_learning(record, progress.correct)
        self.history.append(record)
        self._progress = EpochProgress()
        if self.recipe.patience and self._epochs_without_improvement() == 0:
            with self._averaged_weights():
                self._best = self.network.get_weights()
        return record

    @contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        if not self.recipe.weight_averaging:
            yield
            return
        weights = self.network.get_weights()
        self._optimizer.finalize_variable_values(self.network.trainable_variables)
        try:
            yield
        finally:
            self.network.set_weights(weights)

    def _validate(self) -> tuple[float | None, float | None]:
        """Return mean log loss and accuracy on the held-out rows; None if there are none."""
        labels = self._held_out.labels
        if not len(labels):
            return None, None
        probabilities = self._predict(self._held_out.pixels)
        of_label = np.clip(probabilities[np.arange(len(labels)), labels], np.finfo(np.float32).tiny, 1)
        return float(-np.log(of_label).mean()), float((probabilities.argmax(axis=1) == labels).mean())

    def _check_learning(self, record: EpochRecord, correct: int) -> None:
        n_steps = record.epoch * self._steps_per_epoch
        is_early = record.epoch < GRACE_EPOCHS or n_steps < GRACE_STEPS
        if is_early and record.epoch < self.recipe.epochs:
            return
        n_rows = len(self._labels)
        majority = float(np.bincount(self._labels).max() / n_rows)
        if majority < 1 and binomtest(correct, n_rows, majority, "greater").pvalue > CHANCE_SIGNIFICANCE:
            advice = f"check the labels, or change the learning rate of {self.recipe.learning_rate}"
            if is_early:
                advice = f"too few steps were made ({n_steps}): set more --epochs, or leave the flag out"
            raise TrainingError(
                f"after epoch {record.epoch} the training accuracy, {record.accuracy:.2%}, is no better than guessing "
                f"the most common label ({majority:.2%}); {advice}"
            )

    def _check_finite(self, loss: float) -> None:
        # A loss is computed before its step, so only the weights show the effect of the last step.
        if not math.isfinite(loss) or not all(np.isfinite(weight).all() for weight in self.network.get_weights()):
            raise TrainingError(
                f"the loss or the weights are no longer finite in epoch {self.n_epochs + 1}; try a learning rate below "
                f"{self.recipe.learning_rate}"
            )

    def _epochs_without_improvement(self) -> int:
        losses = [record.validation_loss for record in self.history if record.validation_loss is not None]
        return len(losses) - 1 - int(np.argmin(losses)) if losses else 0
