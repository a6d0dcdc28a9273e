"""What the tuning's tests share: a tiny dataset, and trials without a training."""

import pytest
from samples import accepted

from schemas.errors import TrainingError
from schemas.recipe import Overrides
from schemas.training import EpochRecord
from tasks.tuning import trial


@pytest.fixture(scope="session")
def tiny(tiny_npz):
    return accepted(tiny_npz)


@pytest.fixture(scope="session")
def start():
    return Overrides(epochs=20, batch_size=64).applied_to("fast")


@pytest.fixture(scope="module")
def calculated():
    """Calculate a trial's accuracy, highest at a rotation of 5; a long warmup fails; yield the numbers of epochs."""
    n_epochs = []

    def accuracy(_dataset, recipe, on_epoch=lambda _: None):
        if recipe.warmup > 0.4:
            raise TrainingError("the loss is no longer finite")
        value = 0.99 - abs(recipe.rotation - 5) / 50
        for epoch in range(1, recipe.epochs + 1):
            n_epochs.append(epoch)
            on_epoch(EpochRecord(epoch, 1.0, 0.9, 1.0, value * epoch / recipe.epochs, 0.1))
        return value

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "held_out_accuracy", accuracy)
        yield n_epochs
