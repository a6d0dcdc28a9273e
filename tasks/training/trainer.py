"""A training under way: its variables, its compiled graphs, the epochs done, and an eye on what comes of them."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf
from scipy.stats import binomtest

from schemas.errors import TrainingError
from schemas.images import InMemoryImages
from schemas.results import EpochRecord
from tasks.inference.model import predictor, probabilities
from tasks.training.block import compile_block
from tasks.training.checkpoints import NOTHING, EpochProgress, State
from tasks.training.networks import build
from tasks.training.optimizers import build_optimizer
from tasks.training.worker import SINGLE_WORKER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from schemas.images import Images
    from schemas.recipe import Recipe
    from tasks.training.block_loader import BlockLoader
    from tasks.training.block_sampler import BlockSampler
    from tasks.training.worker import Worker

LEARNS_WITHIN_EPOCHS = 3
LEARNS_WITHIN_STEPS = 100
CHANCE_SIGNIFICANCE = 0.01


class Trainer:
    """A training under way. The state between two blocks is complete: see `state` and `restore`."""

    def __init__(  # noqa: PLR0913, what a training is
        self,
        labels: NDArray[np.uint8],
        plan: BlockSampler,
        feed: BlockLoader,
        held_out: Images,
        recipe: Recipe,
        own: Worker = SINGLE_WORKER,
    ) -> None:
        """Build network and optimiser with their first values; compile and read nothing yet but the held-out rows.

        `labels` are those of all rows to train on, `plan` and `feed` tell and give their blocks. Where several workers
        train together, each has a session, and `own` is which of them this one is.
        """
        self.recipe = recipe
        self.history: list[EpochRecord] = []
        self._best: list[NDArray[np.generic]] = []
        self._under_way = NOTHING
        self._labels, self._plan, self._feed = labels, plan, feed
        self._held_out = InMemoryImages(held_out.read(slice(None)), held_out.labels)
        with own.strategy.scope():
            self.network = build(recipe.network, recipe.seed)
            self._optimizer = build_optimizer(recipe, self._steps_an_epoch)
            self._optimizer.build(self.network.trainable_variables)
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing, reduction="sum")
        self._train_block = compile_block(self.network, loss, self._optimizer, recipe, own)
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

    @property
    def summary(self) -> str:
        """Tell how far it is."""
        epochs = f"after epoch {self.epochs_done} of {self.recipe.epochs}"
        return (
            f"{epochs} and block {self._under_way.blocks} of {self._plan.blocks}" if self._under_way.blocks else epochs
        )

    @property
    def share_done(self) -> float:
        """Give how much of all the recipe's epochs is done."""
        return (self.epochs_done + self._under_way.blocks / self._plan.blocks) / self.recipe.epochs

    def run_block(self) -> EpochRecord | None:
        """Train on the next block; judge the epoch if that was its last, and give what it did.

        Raises TrainingError when it shows that nothing can come of the training.
        """
        started = time.perf_counter()
        number = self.epochs_done * self._plan.blocks + self._under_way.blocks
        seed = tf.constant([self.recipe.seed, number], tf.int32)
        sums = self._train_block(*self._feed.block(number), seed)
        self._under_way = EpochProgress(
            blocks=self._under_way.blocks + 1,
            loss=self._under_way.loss + float(sums.loss),
            correct=self._under_way.correct + int(sums.correct),
            seconds=self._under_way.seconds + time.perf_counter() - started,
        )
        self._check_finite(self._under_way.loss)
        return self._judged_epoch() if self._under_way.blocks == self._plan.blocks else None

    def _judged_epoch(self) -> EpochRecord:
        """Judge an epoch whose blocks are all done."""
        started, done, rows = time.perf_counter(), self._under_way, len(self._labels)
        with self._averaged():
            validation_loss, validation_accuracy = self._validate()
        record = EpochRecord(
            epoch=self.epochs_done + 1,
            loss=done.loss / rows,
            accuracy=done.correct / rows,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            seconds=done.seconds + time.perf_counter() - started,
        )
        self._watch(record, done.correct)
        self.history.append(record)
        self._under_way = NOTHING
        self._keep_best()
        return record

    def state(self) -> State:
        """Give everything that `restore` needs."""
        return State([variable.numpy() for variable in self._variables()], self._best, self.history, self._under_way)

    def restore(self, state: State) -> None:
        """Take over the state of a training of the same fingerprint."""
        for variable, value in zip(self._variables(), state.variables, strict=True):
            variable.assign(value)
        self.history, self._under_way = list(state.history), state.under_way
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
        return math.ceil(len(self._labels) / self.recipe.batch_size)

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
        if record.validation_loss is not None:
            self._check_finite(record.validation_loss)
        early = record.epoch < LEARNS_WITHIN_EPOCHS or record.epoch * self._steps_an_epoch < LEARNS_WITHIN_STEPS
        if early and record.epoch < self.recipe.epochs:
            return
        rows = len(self._labels)
        majority = float(np.bincount(self._labels).max() / rows)
        if majority < 1 and binomtest(correct, rows, majority, "greater").pvalue > CHANCE_SIGNIFICANCE:
            raise TrainingError(
                f"the network still guesses in epoch {record.epoch}: {record.accuracy:.2%} right, the commonest label "
                f"alone is {majority:.2%}; check the labels, or change the learning rate of {self.recipe.learning_rate}"
            )

    def _check_finite(self, loss: float) -> None:
        # The loss is that before each step, so the weights tell of the last one.
        if not math.isfinite(loss) or not all(np.isfinite(weight).all() for weight in self.network.get_weights()):
            raise TrainingError(
                f"the loss or the weights are no longer finite in epoch {self.epochs_done + 1}; a lower learning rate "
                f"than {self.recipe.learning_rate} may help"
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
