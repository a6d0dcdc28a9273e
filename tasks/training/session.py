"""A training under way: its variables, its compiled graphs, the epochs done, and an eye on what comes of them."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from scipy.stats import binomtest

from schemas.errors import TrainingError
from schemas.results import EpochRecord
from tasks.training.block import compile_block
from tasks.training.checkpoints import State
from tasks.training.inference import predictor, probabilities
from tasks.training.networks import build
from tasks.training.optimizers import build_optimizer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from schemas.recipe import Recipe

LEARNS_WITHIN_EPOCHS = 3
LEARNS_WITHIN_STEPS = 100
CHANCE_SIGNIFICANCE = 0.01


class Rows(NamedTuple):
    """Images (rows × 784, `uint8`) and their labels."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int32]


class Session:
    """A training under way. The state between two epochs is complete: see `state` and `restore`."""

    def __init__(self, rows: Rows, held_out: Rows, recipe: Recipe) -> None:
        """Build network and optimiser with their first values; compile nothing yet."""
        self.recipe = recipe
        self.history: list[EpochRecord] = []
        self.network = build(recipe.network, recipe.seed)
        self._best: list[NDArray[np.generic]] = []
        self._rows, self._held_out = rows, held_out
        self._pixels, self._labels = tf.constant(rows.pixels), tf.constant(rows.labels)
        self._optimizer = build_optimizer(recipe, self._steps_an_epoch)
        self._optimizer.build(self.network.trainable_variables)
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
        self._train_block = compile_block(self.network, loss, self._optimizer, recipe)
        self._predict = predictor(self.network)

    @property
    def epochs_done(self) -> int:
        """Count the epochs done."""
        return len(self.history)

    @property
    def ended(self) -> bool:
        """Tell whether all epochs are done or the recipe's patience is exhausted."""
        exhausted = 0 < self.recipe.patience <= self._epochs_without_gain()
        return self.epochs_done >= self.recipe.epochs or exhausted

    def run_epoch(self) -> EpochRecord:
        """Train one epoch and judge it; raise TrainingError when it shows that nothing can come of it."""
        started = time.perf_counter()
        seed = tf.constant([self.recipe.seed, self.epochs_done], tf.int32)
        sums = self._train_block(self._pixels, self._labels, seed)
        rows, correct = len(self._rows.labels), int(sums.correct)
        with self._averaged():
            validation_loss, validation_accuracy = self._validate()
        record = EpochRecord(
            epoch=self.epochs_done + 1,
            loss=float(sums.loss) / rows,
            accuracy=correct / rows,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            seconds=time.perf_counter() - started,
        )
        self._watch(record, correct)
        self.history.append(record)
        self._keep_best()
        return record

    def state(self) -> State:
        """Give everything that `restore` needs."""
        return State([variable.numpy() for variable in self._variables()], self._best, self.history)

    def restore(self, state: State) -> None:
        """Take over the state of a training of the same fingerprint."""
        for variable, value in zip(self._variables(), state.variables, strict=True):
            variable.assign(value)
        self.history = list(state.history)
        self._best = list(state.best)

    def finished(self) -> keras.Model:
        """Give the network with its final weights: those of the best epoch or the averages, if the recipe says so."""
        if self._best:
            self.network.set_weights(self._best)
        else:
            self._optimizer.finalize_variable_values(self.network.trainable_variables)
        return self.network

    @property
    def _steps_an_epoch(self) -> int:
        return math.ceil(len(self._rows.labels) / self.recipe.batch_size)

    def _variables(self) -> list[keras.Variable]:
        return [*self.network.variables, *self._optimizer.variables]

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Lend the network its averaged weights, if there are any, as they would be published."""
        if not self.recipe.weight_averaging:
            yield
            return
        own = self.network.get_weights()
        self._optimizer.finalize_variable_values(self.network.trainable_variables)
        try:
            yield
        finally:
            self.network.set_weights(own)

    def _validate(self) -> tuple[float | None, float | None]:
        """Give mean log loss and accuracy of the held-out rows."""
        if not len(self._held_out.labels):
            return None, None
        answers = probabilities(self._predict, self._held_out.pixels)
        labels = self._held_out.labels
        of_the_truth = np.clip(answers[np.arange(len(labels)), labels], np.finfo(np.float32).tiny, 1)
        return float(-np.log(of_the_truth).mean()), float((answers.argmax(axis=1) == labels).mean())

    def _watch(self, record: EpochRecord, correct: int) -> None:
        """End a training that has lost its numbers, or that has had its chance and still guesses."""
        losses = (record.loss, *([] if record.validation_loss is None else [record.validation_loss]))
        # The loss is that before each step, so the weights tell of the last one.
        if not all(map(math.isfinite, losses)) or not all(np.isfinite(w).all() for w in self.network.get_weights()):
            raise TrainingError(
                f"the loss or the weights are no longer finite in epoch {record.epoch}; a lower learning rate than "
                f"{self.recipe.learning_rate} may help"
            )
        early = record.epoch < LEARNS_WITHIN_EPOCHS or record.epoch * self._steps_an_epoch < LEARNS_WITHIN_STEPS
        if early and record.epoch < self.recipe.epochs:
            return
        rows = len(self._rows.labels)
        majority = float(np.bincount(self._rows.labels).max() / rows)
        if majority < 1 and binomtest(correct, rows, majority, "greater").pvalue > CHANCE_SIGNIFICANCE:
            raise TrainingError(
                f"the network still guesses in epoch {record.epoch}: {record.accuracy:.2%} right, the commonest label "
                f"alone is {majority:.2%}; check the labels, or change the learning rate of {self.recipe.learning_rate}"
            )

    def _validation_losses(self) -> list[float]:
        return [record.validation_loss for record in self.history if record.validation_loss is not None]

    def _epochs_without_gain(self) -> int:
        losses = self._validation_losses()
        return len(losses) - 1 - int(np.argmin(losses)) if losses else 0

    def _keep_best(self) -> None:
        if self.recipe.patience and self._epochs_without_gain() == 0:
            with self._averaged():
                self._best = self.network.get_weights()
