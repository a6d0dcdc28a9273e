"""Cross-validation, for data with too few rows for a test part: predict each row by a network not trained on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from schemas.digits import CLASSES
from schemas.results import Dataset, TrainingResult
from tasks.inference.model import predict_images


def evaluate(dataset: Dataset, trained: TrainingResult, fit: Callable[[Dataset], TrainingResult]) -> TrainingResult:
    """Return the result with the predictions of cross-validation for its held-out ones; `fit` trains on a part."""
    folds = assign_folds(dataset.train.labels, dataset.n_folds, trained.recipe.seed)
    probabilities = np.empty((len(folds), len(CLASSES)), np.float32)
    for fold in range(dataset.n_folds):
        held_out = np.flatnonzero(folds == fold)
        part = dataclasses.replace(
            dataset,
            name=f"{dataset.name}, fold {fold + 1} of {dataset.n_folds}",
            train=dataset.train.take(np.flatnonzero(folds != fold)),
            fingerprint=f"{dataset.fingerprint}, fold {fold + 1} of {dataset.n_folds}",
            n_folds=0,
        )
        probabilities[held_out] = predict_images(fit(part).network, dataset.train.take(held_out))
    return dataclasses.replace(trained, held_out_probabilities=probabilities, held_out_labels=dataset.train.labels)


def assign_folds(labels: NDArray[np.uint8], n_folds: int, seed: int) -> NDArray[np.int64]:
    """Assign each row to a fold at random, so that each class is spread over the folds as evenly as possible."""
    by_label = np.lexsort((np.random.default_rng(seed).random(len(labels)), labels))
    folds = np.empty(len(labels), np.int64)
    folds[by_label] = np.arange(len(labels)) % n_folds
    return folds
