"""Open the study of a search and start its workers; importing this imports nothing slow."""

from __future__ import annotations

import importlib.util
import os
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
DATABASE = "DIGITS_STUDIES"
"""The environment variable with the address of a database for studies, in place of files: it may have a password."""


def check(store: str) -> None:
    """Raise InputError if a study can't be made here."""
    if not importlib.util.find_spec("optuna"):
        raise missing_extra("flows/tune_flow.py", "Optuna")
    if not os.environ.get(DATABASE) and local_path(store) is None:
        raise InputError(
            f"--store {store}: a study needs a folder on this machine, or a database whose address is in {DATABASE}; "
            "the recipe fits any store"
        )


@contextmanager
def open_study(
    store: str, dataset: Dataset, start: Recipe, n_workers: int, engine: str = "local"
) -> Iterator[tuple[Study, Workers]]:
    """Yield the search's study, with the trials that are finished, and its workers.

    Raises InputError if the database can't be used.
    """
    from tasks.tuning.study import Study
    from tasks.tuning.workers import Workers

    study = Study(os.environ.get(DATABASE) or Path(local_path(store) or store, STUDIES), dataset, start, n_workers)
    workers = Workers(dataset, n_workers)
    if engine == "ray":
        from tasks.tuning.ray_workers import RayWorkers

        workers = RayWorkers(dataset, n_workers)
    with workers:
        yield study, workers
