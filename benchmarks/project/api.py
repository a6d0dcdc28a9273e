"""All that the benchmarks import from the project, so that what is renamed there is adapted here alone.

What a user can run, `flow.py` runs as a user does; this is for what is measured without Prefect.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from timing import QUICK_EPOCHS

from artifacts.store.folder_storage import FolderStorage
from artifacts.store.store import Store
from schemas.images import Images
from schemas.recipe import Overrides, Recipe
from schemas.results import Dataset, RawDataset
from schemas.rules import DEFAULT_INPUT_RULES, DEFAULT_RULES
from tasks.inference.start_up import import_tensorflow, preload
from tasks.sharding.shard_cache import ShardCache, in_threads
from tasks.sources import datasets
from tasks.validation import inspection, profiles

__all__ = ["Dataset", "Pixels", "Recipe", "import_tensorflow"]
Pixels = NDArray[np.uint8]


def parse_recipe(flags: list[str], seed: int, *, quick: bool) -> Recipe:
    """Return the recipe that the flags name, such as `--recipe fast --batch-size 128`; a quick one has few epochs."""
    names = [flag.removeprefix("--").replace("-", "_") for flag in flags[::2]]
    fields: dict[str, Any] = dict(zip(names, flags[1::2], strict=True)) | {"seed": seed}
    fields |= {"epochs": QUICK_EPOCHS} if quick else {}
    preset = fields.pop("recipe")
    recipe: Recipe = Overrides.model_validate(fields).applied_to(preset)
    return recipe


def fitted_recipe(dataset: Dataset, seed: int, *, quick: bool) -> Recipe:
    """Return the default recipe for a data set's number of rows."""
    fields = {"seed": seed} | ({"epochs": QUICK_EPOCHS} if quick else {})
    recipe: Recipe = Overrides.model_validate(fields).applied_to("fast", len(dataset.train))
    return recipe


def load(source: object, test_source: str | None = None) -> RawDataset:
    """Load a data set as the flow does."""
    return datasets.load(str(source), test_source, DEFAULT_RULES)


def validate(loaded: RawDataset, cache: Path | None = None) -> Dataset:
    """Validate a data set as the flow does; the rows of shards are cached in a folder."""
    shard_cache = ShardCache(FolderStorage(cache), in_threads) if cache else None
    found, dataset = inspection.inspect(loaded, DEFAULT_RULES, profiles.load_embedded(), shard_cache)
    if dataset is None:
        raise AssertionError(found.refusal)
    return dataset


class Trainer:
    """A training with the project's engine that runs epoch by epoch, without checkpoints."""

    def __init__(self, dataset: Dataset, recipe: Recipe) -> None:
        from artifacts.processor import training_precision
        from tasks.inference.predictor import predictor
        from tasks.training.block_loader import BlockLoader
        from tasks.training.sampling import block_sampler, split
        from tasks.training.trainer import Trainer as ProjectTrainer

        images, held_out = split(dataset, recipe)
        self._loader = BlockLoader(images, block_sampler(dataset, len(images), recipe), recipe.epochs)
        self._trainer = ProjectTrainer(self._loader, held_out, recipe, training_precision(recipe.network))
        self._predict = predictor(self._trainer.network)

    @property
    def is_done(self) -> bool:
        """Whether all epochs are done."""
        return self._trainer.is_finished

    def run_epoch(self) -> None:
        """Train one epoch."""
        while self._trainer.run_block() is None:
            pass

    def finish(self) -> None:
        """Leave the final weights in the network and stop reading ahead."""
        self._trainer.final_network()
        self._loader.__exit__(None, None, None)

    def accuracy(self, images: Images) -> float:
        """Return the accuracy on images in memory."""
        return float((self._predict(images.read(slice(None))).argmax(axis=1) == images.labels).mean())


def train_and_answer(dataset: Dataset, recipe: Recipe, work: Path) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Train as the flow does; return the answers to the test images that the gate counts, and the log losses."""
    from tasks.inference.answers import right_answers
    from tasks.inference.predictor import predictor
    from tasks.training import local_engine

    trained = local_engine.train(dataset, recipe, FolderStorage(work), on_epoch=lambda _: None, log=lambda _: None)
    predict = predictor(trained.network)
    (right,) = right_answers([predict], dataset.test)
    probabilities = predict(dataset.test.read(slice(None)))[np.arange(len(right)), dataset.test.labels]
    return right, -np.log(np.maximum(probabilities, 1e-7))


def preload_prediction() -> None:
    """Import what `predict` needs."""
    preload("tasks.prediction.stream", "tasks.sources.npz")


def predict(store_dir: Path, source: Path, output: Path, batch_size: int) -> int:
    """Predict with the champion as the flow does; return the number of images."""
    from tasks.prediction import stream

    store = Store(store_dir)
    predictor = stream.predictor(store, store.resolve_version())
    return stream.predict(str(source), predictor, output, DEFAULT_INPUT_RULES, batch_size).n_rows
