"""Shards as this project has them: listed, staged, inspected, accepted, with MNIST's digits to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifacts.store.storage import FolderStorage
from schemas.rules import DEFAULT_RULES
from tasks.sharding.shard_cache import ShardCache, in_threads
from tasks.sources import formats
from tasks.validation import inspection, profiles

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.results import Dataset


def accepted(shards: Path, work: Path) -> Dataset:
    """Give the dataset; what is staged goes to `work`, or is there."""
    loaded = formats.load(str(shards), "mnist", DEFAULT_RULES)
    found, dataset = inspection.inspect(
        loaded, DEFAULT_RULES, profiles.embedded(), ShardCache(FolderStorage(work), in_threads)
    )
    if dataset is None:
        raise AssertionError(found.refusal)
    return dataset
