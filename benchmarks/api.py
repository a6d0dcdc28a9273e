"""Load, validate and train as the flows do, for what is measured without Prefect."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from timing import QUICK_EPOCHS

from artifacts.store.folder_storage import FolderStorage
from schemas.recipe import Overrides, Recipe
from schemas.results import Dataset, RawDataset, TrainingResult
from schemas.rules import DEFAULT_RULES
from tasks.sharding.shard_cache import ShardCache, in_threads
from tasks.sources import datasets
from tasks.validation import inspection, profiles


def parse_recipe(flags: list[str], seed: int, *, quick: bool = False, n_rows: int | None = None) -> Recipe:
    """Return the recipe that the flags name, such as `--recipe fast --batch-size 128`; a quick one has few epochs.

    Fields follow the number of rows, if it is given.
    """
    names = [flag.removeprefix("--").replace("-", "_") for flag in flags[::2]]
    fields: dict[str, Any] = dict(zip(names, flags[1::2], strict=True)) | {"seed": seed}
    fields |= {"epochs": QUICK_EPOCHS} if quick else {}
    preset = fields.pop("recipe")
    recipe: Recipe = Overrides.model_validate(fields).applied_to(preset, n_rows)
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


def train(dataset: Dataset, recipe: Recipe) -> TrainingResult:
    """Train as the flow does, with checkpoints in a temporary folder."""
    from tasks.training import local_engine

    with tempfile.TemporaryDirectory() as work:
        return local_engine.train(dataset, recipe, FolderStorage(Path(work)), lambda _: None, lambda *_: None)
