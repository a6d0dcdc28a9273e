"""Cross-validation, for data with too few rows for a test part: predict each row by a network not trained on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from schemas.digits import CLASSES
from schemas.results import Dataset, TrainingResult
from tasks.inference.model import predict_images


def evaluate(dataset: Dataset, trained: TrainingResult, fit: Callable[[Dataset], TrainingResult]) -> TrainingResult:
    """Return the result with the predictions of cross-validation for its held-out ones; `fit` trains on a part."""
    probabilities = np.empty((len(dataset.train), len(CLASSES)), np.float32)
    for held_out, part in folds_of(dataset, dataset.n_folds, trained.recipe.seed):
        probabilities[held_out] = predict_images(fit(part).network, dataset.train.take(held_out))
    return dataclasses.replace(trained, held_out_probabilities=probabilities, held_out_labels=dataset.train.labels)


def folds_of(dataset: Dataset, n_folds: int, seed: int) -> Iterator[tuple[NDArray[np.int64], Dataset]]:
    """Yield the training rows of each fold, and the dataset without them."""
    folds = assign_folds(dataset.train.labels, n_folds, seed)
    for fold in range(n_folds):
        name, kept = f"fold {fold + 1} of {n_folds}", np.flatnonzero(folds != fold)
        part = dataclasses.replace(
            dataset,
            name=f"{dataset.name}, {name}",
            train=dataset.train.take(kept),
            train_digests=dataset.train_digests[kept],
            fingerprint=f"{dataset.fingerprint}, {name}",
            n_folds=0,
        )
        yield np.flatnonzero(folds == fold), part


def assign_folds(labels: NDArray[np.uint8], n_folds: int, seed: int) -> NDArray[np.int64]:
    """Assign each row to a fold at random, so that each class is spread over the folds as evenly as possible."""
    by_label = np.lexsort((np.random.default_rng(seed).random(len(labels)), labels))
    folds = np.empty(len(labels), np.int64)
    folds[by_label] = np.arange(len(labels)) % n_folds
    return folds
