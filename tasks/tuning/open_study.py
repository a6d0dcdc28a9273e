"""Open the study of a search and start its workers; importing this imports nothing slow."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts.uri import local_path
from schemas.errors import InputError, missing_extra
from schemas.recipe import Recipe
from schemas.results import Dataset

if TYPE_CHECKING:
    from tasks.tuning.study import Study
    from tasks.tuning.workers import Workers

STUDIES = "studies"
"""The folder of a store that holds the studies."""


def check(store: str) -> None:
    """Raise InputError if a study can't be made here."""
    if not importlib.util.find_spec("optuna"):
        raise missing_extra("flows/tune_flow.py", "Optuna")
    if local_path(store) is None:
        raise InputError(f"--store {store}: a study needs a folder on this machine; the recipe fits any store")


@contextmanager
def open_study(store: str, dataset: Dataset, start: Recipe, n_workers: int) -> Iterator[tuple[Study, Workers]]:
    """Yield the search's study, with the trials that are finished, and its workers."""
    from tasks.tuning.study import Study
    from tasks.tuning.workers import Workers

    study = Study(Path(local_path(store) or store, STUDIES), dataset, start, n_workers)
    with Workers(dataset, n_workers) as workers:
        yield study, workers
