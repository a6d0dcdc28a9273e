"""What the training's tests share: a tiny dataset and a recipe that uses everything there is."""

from pathlib import Path

import pytest
from samples import accepted

from artifacts.store.storage import storage_at
from schemas.recipe import Overrides, Recipe
from schemas.results import Dataset
from tasks.inference.start_up import import_tensorflow

import_tensorflow()

EVERYTHING = {"epochs": 6, "batch_size": 64, "validation_fraction": 0.1, "weight_averaging": 0.9, "patience": 50}


@pytest.fixture(scope="session")
def tiny(tiny_npz: Path) -> Dataset:
    return accepted(tiny_npz)


@pytest.fixture
def recipe() -> Recipe:
    """Give a short recipe with augmentation, Muon, a schedule, averages and early stopping."""
    return Overrides(**EVERYTHING).applied_to("fast")


@pytest.fixture
def train(tiny, tmp_path):
    """Train on the tiny dataset; the records and messages are kept on the function itself."""
    from tasks.training import engine

    def run(recipe, work=tmp_path / "work", dataset=tiny, on_epoch=None):
        run.epochs, run.summary = [], []

        def heard(record):
            run.epochs.append(record.epoch)
            if on_epoch:
                on_epoch(record)

        return engine.train(dataset, recipe, storage_at(work), on_epoch=heard, tell=run.summary.append)

    return run
