"""Cross-validation of data with too few rows for a test part."""

import dataclasses

import numpy as np
import pytest

from tasks.training import cross_validation


def test_each_class_is_spread_evenly_over_the_folds():
    labels = np.repeat(np.arange(10, dtype=np.uint8), 13)
    folds = cross_validation.assign_folds(labels, 5, seed=0)
    counts = np.array([np.bincount(labels[folds == fold], minlength=10) for fold in range(5)])
    assert counts.min() >= 2
    assert counts.max() <= 3


@pytest.mark.slow
def test_each_row_is_predicted_by_a_network_that_has_not_seen_it(train, tiny, recipe):
    recipe = recipe.model_copy(update={"validation_fraction": 0.0, "patience": 0, "epochs": 1})
    dataset = dataclasses.replace(tiny, train=tiny.train.take(np.arange(200)), n_folds=2)
    trained_on = []

    def fit(part):
        trained_on.append({row.tobytes() for row in part.train.read(slice(None))})
        return train(recipe.model_copy(update={"learning_rate": 0.02, "epochs": 60}), dataset=part)

    result = cross_validation.evaluate(dataset, fit(dataset), fit)
    folds = cross_validation.assign_folds(dataset.train.labels, 2, recipe.seed)
    for row, fold in zip(dataset.train.read(slice(None)), folds, strict=True):
        assert row.tobytes() not in trained_on[1 + fold]
    assert (result.held_out_probabilities.argmax(axis=1) == dataset.train.labels).mean() > 0.9
