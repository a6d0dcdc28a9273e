"""What the training's tests share: a tiny dataset, a recipe that uses every feature, and a short call to train."""

import shutil
from pathlib import Path
from types import SimpleNamespace

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
    """Return a short recipe with augmentation, Muon, a schedule, weight averaging and early stopping."""
    return Overrides(**EVERYTHING).applied_to("fast")


@pytest.fixture(scope="session")
def uninterrupted(tiny: Dataset, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return the result and the checkpoints of one training with the short recipe."""
    from tasks.training import local_engine

    work, recipe = tmp_path_factory.mktemp("uninterrupted"), Overrides(**EVERYTHING).applied_to("fast")
    result = local_engine.train(tiny, recipe, storage_at(work), lambda _: None, lambda _: None)
    return SimpleNamespace(result=result, work=work)


@pytest.fixture
def work(uninterrupted: SimpleNamespace, tmp_path: Path) -> Path:
    """Return a copy of the checkpoints of the uninterrupted training, to be changed."""
    return shutil.copytree(uninterrupted.work, tmp_path / "trained")


@pytest.fixture
def log() -> SimpleNamespace:
    """Return where `train` puts the epochs and messages of its last call."""
    return SimpleNamespace(epochs=[], messages=[])


@pytest.fixture
def train(tiny, tmp_path, log):
    """Return a function that trains on the tiny dataset."""
    from tasks.training import local_engine

    def run(recipe, work=tmp_path / "work", dataset=tiny, on_epoch=lambda _: None, on_block=lambda _: None):
        log.epochs, log.messages = [], []

        def note(record):
            log.epochs.append(record.epoch)
            on_epoch(record)

        return local_engine.train(dataset, recipe, storage_at(work), note, log.messages.append, on_block)

    return run
