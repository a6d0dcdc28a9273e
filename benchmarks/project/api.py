"""All that the benchmarks import from the project, so that what is renamed there is adapted here alone.

What a user can run, `flow.py` runs as a user does; this is for what is measured without Prefect around it.
"""

from __future__ import annotations

import dataclasses
import math
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from artifacts.storage import FolderStorage
from artifacts.store import Store
from schemas.images import InMemory
from schemas.recipe import Overrides, Recipe
from schemas.rules import DEFAULT_INPUT_RULES, DEFAULT_RULES, KEPT_BYTES, TAKEN
from tasks.sources import catalogue
from tasks.training.start_up import import_tensorflow, preload
from tasks.validation import inspection, profiles
from tasks.validation.staging import Staging, in_threads

if TYPE_CHECKING:
    from pathlib import Path

    import keras

    from schemas.images import Images
    from schemas.results import Dataset, Loaded

__all__ = ["Recipe", "import_tensorflow"]


def make_recipe(preset: str, seed: int, overrides: dict[str, Any]) -> Recipe:
    """Return a preset with some fields changed."""
    recipe: Recipe = Overrides.model_validate(overrides | {"seed": seed}).applied_to(preset)
    return recipe


def load(source: object, test_source: str | None = None) -> Loaded:
    """Load a data set as the flow does."""
    return catalogue.load(str(source), test_source, DEFAULT_RULES)


def validate(loaded: Loaded, cache: Path | None = None) -> Dataset:
    """Validate a data set as the flow does; the rows of shards are cached in a folder."""
    staging = Staging(FolderStorage(cache), in_threads) if cache else None
    found, dataset = inspection.inspect(loaded, DEFAULT_RULES, profiles.embedded(), staging)
    if dataset is None:
        raise AssertionError(found.refusal)
    return dataset


def first_rows(dataset: Dataset, rows: int) -> Dataset:
    """Return a data set with at most so many training rows."""
    return dataclasses.replace(dataset, train=dataset.train.take(np.arange(min(rows, len(dataset.train)))))


def in_memory(dataset: Dataset) -> Dataset:
    """Return a data set whose training rows are in memory."""
    pixels = InMemory(dataset.train.rows(slice(None)), dataset.train.labels)
    return dataclasses.replace(dataset, train=pixels, memory=None)


def in_blocks(dataset: Dataset, blocks: int, recipe: Recipe) -> Dataset:
    """Return a data set on disk with just the memory to train on it in so many blocks per epoch."""
    from tasks.training.plan import ROW_BYTES, SHARE

    rows = len(dataset.train)
    block_rows = math.ceil(rows / blocks / recipe.batch_size) * recipe.batch_size
    needed = rows * KEPT_BYTES + block_rows * SHARE * ROW_BYTES
    return dataclasses.replace(dataset, memory=TAKEN + math.ceil(needed / 2**20))


def read_rows(images: Images, rows: int) -> None:
    """Read a block of the training rows as a training in blocks does."""
    from tasks.training.plan import Plan

    images.rows(Plan(len(images), rows, seed=0).block(0))


class Trainer:
    """A training with the project's engine that runs epoch by epoch, with checkpoints only if there is a folder."""

    def __init__(self, dataset: Dataset, recipe: Recipe, checkpoint_dir: Path | None = None) -> None:
        from tasks.training.engine import split
        from tasks.training.feed import Feed
        from tasks.training.inference import predictor
        from tasks.training.plan import plan
        from tasks.training.session import Session

        images, held_out = split(dataset, recipe)
        layout = plan(dataset, len(images), recipe)
        self.blocks = layout.blocks
        self._resources = ExitStack()
        feed = self._resources.enter_context(Feed(images, layout, recipe.epochs))
        self._session = Session(images.labels, layout, feed, held_out, recipe)
        self._predict = predictor(self._session.network)
        self._storage = FolderStorage(checkpoint_dir) if checkpoint_dir else None

    @property
    def network(self) -> keras.Model:
        """The network that is trained."""
        return self._session.network

    @property
    def is_done(self) -> bool:
        """Whether all epochs are done."""
        return self._session.ended

    def run_epoch(self) -> None:
        """Train one epoch."""
        from tasks.training import checkpoints

        record = None
        while record is None:
            record = self._session.run_block()
            if self._storage:
                checkpoints.save(self._storage, self._session.state())

    def finish(self) -> None:
        """Leave the final weights in the network and stop reading ahead."""
        self._session.finished()
        self._resources.close()

    def accuracy(self, images: Images) -> float:
        """Return the accuracy on images in memory."""
        from tasks.training.inference import probabilities

        return float((probabilities(self._predict, images.rows(slice(None))).argmax(axis=1) == images.labels).mean())


def preload_prediction() -> None:
    """Import what `predict` needs."""
    preload("tasks.prediction.stream", "tasks.sources.npz")


def predict(store_folder: Path, source: Path, output: Path, batch_size: int) -> int:
    """Predict with the champion as the flow does; return the number of images."""
    from tasks.prediction import stream

    store = Store(store_folder)
    predictor = stream.predictor(store, store.in_use())
    return stream.predict(str(source), predictor, output, DEFAULT_INPUT_RULES, batch_size).rows
