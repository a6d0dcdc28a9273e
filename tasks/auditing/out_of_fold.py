"""Predict each row by networks that weren't trained on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.digits import CLASSES
from schemas.recipe import Overrides, Recipe
from schemas.results import Dataset, TrainingResult
from tasks.inference.model import predict_images
from tasks.training.cross_validation import folds_of


class OutOfFold(NamedTuple):
    """Probabilities of the training rows and, if they are others, of the test rows; rows × 10."""

    train: NDArray[np.float32]
    test: NDArray[np.float32] | None


def audit_recipe(network: str, n_rows: int) -> Recipe:
    """Return the recipe of the folds' networks: `fast` without label smoothing, which hides how sure a network is."""
    recipe: Recipe = Overrides(network=network, validation_fraction=0.0, label_smoothing=0.0).applied_to("fast", n_rows)
    return recipe


def predict(dataset: Dataset, n_folds: int, seed: int, fit: Callable[[Dataset], TrainingResult]) -> OutOfFold:
    """Predict the rows of each fold by a network trained on the others, the test rows by the mean of all networks.

    No network has seen a test label, and each test row is judged by all folds' networks at no further training.
    """
    train = np.empty((len(dataset.train), len(CLASSES)), np.float32)
    test = None if dataset.test is dataset.train else np.zeros((len(dataset.test), len(CLASSES)), np.float32)
    for held_out, part in folds_of(dataset, n_folds, seed):
        network = fit(part).network
        train[held_out] = predict_images(network, dataset.train.take(held_out))
        if test is not None:
            test += predict_images(network, dataset.test) / n_folds
    return OutOfFold(train, test)
