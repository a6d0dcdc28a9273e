"""Shards as this project has them: listed, staged, inspected, accepted, with MNIST's digits to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifacts.storage import FolderStorage
from schemas.rules import DEFAULT_RULES
from tasks.sources import catalogue
from tasks.validation import inspection, profiles
from tasks.validation.staging import Staging, in_threads

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.results import Dataset


def accepted(shards: Path, work: Path) -> Dataset:
    """Give the dataset; what is staged goes to `work`, or is there."""
    loaded = catalogue.load(str(shards), "mnist", DEFAULT_RULES)
    found, dataset = inspection.inspect(
        loaded, DEFAULT_RULES, profiles.embedded(), Staging(FolderStorage(work), in_threads)
    )
    if dataset is None:
        raise AssertionError(found.refusal)
    return dataset
