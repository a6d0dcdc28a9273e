"""Predict each row by networks that weren't trained on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.digits import CLASSES
from schemas.recipe import Overrides, Recipe
from schemas.results import Dataset, TrainingResult
from schemas.validation import Part
from tasks.auditing.label_errors import is_confident_error
from tasks.inference.model import predict_images
from tasks.training.cross_validation import folds_of


class OutOfFold(NamedTuple):
    """Probabilities of each part's rows, rows × 10, and whether confident learning calls a row's label an error."""

    probabilities: dict[Part, NDArray[np.float32]]
    confident_errors: dict[Part, NDArray[np.bool_]]


def audit_recipe(network: str, n_rows: int) -> Recipe:
    """Return the recipe of the folds' networks: `fast`, trained on all rows of the other folds."""
    recipe: Recipe = Overrides.model_validate({"network": network, "validation_fraction": 0.0}).applied_to(
        "fast", n_rows
    )
    return recipe


def predict(dataset: Dataset, n_folds: int, seed: int, fit: Callable[[Dataset], TrainingResult]) -> OutOfFold:
    """Predict the rows of each fold by a network trained on the others, the test rows by the mean of all networks.

    No network has seen a test label, so all of them predict each test row, without further training. A test label is an
    error if most networks call it one: the mean of their probabilities is flatter than each, and rarely reaches a
    threshold.
    """
    train = np.empty((len(dataset.train), len(CLASSES)), np.float32)
    test, labels = np.zeros((len(dataset.test), len(CLASSES)), np.float32), dataset.test.labels
    votes = np.zeros(len(labels))
    for held_out, part in folds_of(dataset, n_folds, seed):
        network = fit(part).network
        train[held_out] = predict_images(network, dataset.train.take(held_out))
        if dataset.test is not dataset.train:
            answers = predict_images(network, dataset.test)
            test += answers / n_folds
            votes += is_confident_error(answers, labels)
    errors = is_confident_error(train, dataset.train.labels)
    if dataset.test is dataset.train:
        return OutOfFold({"train": train}, {"train": errors})
    return OutOfFold({"train": train, "test": test}, {"train": errors, "test": votes > n_folds / 2})
