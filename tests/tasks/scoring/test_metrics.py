"""Metrics, compared with values computed by hand or known from their sources."""

import numpy as np
import pytest

from schemas.abstention import AbstentionThreshold
from schemas.images import InMemoryImages
from tasks.scoring.metrics import (
    calibration_error,
    class_metrics,
    evaluation,
    mistakes,
    wilson_interval,
    without_suspects,
)


def probabilities_of(predicted, confidence):
    """Return probabilities that predict these classes with this confidence."""
    predicted = np.asarray(predicted)
    confidence = np.broadcast_to(confidence, predicted.shape)
    probabilities = np.repeat(((1 - confidence) / 9)[:, None], 10, axis=1)
    probabilities[np.arange(len(predicted)), predicted] = confidence
    return probabilities.astype(np.float32)


def test_wilson_interval_of_the_original_project():
    # 9,756 of 10,000, by Wilson's formula with z = 1.959964.
    assert wilson_interval(9756, 10_000) == pytest.approx((0.972388, 0.978446), abs=1e-6)


def test_wilson_interval_of_no_mistakes_stays_below_certainty():
    low, high = wilson_interval(100, 100)
    assert low == pytest.approx(0.963007, abs=1e-6)
    assert high == 1


def test_class_metrics_match_values_computed_by_hand():
    labels, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 1])
    zero, one, two = class_metrics(labels, predicted)[:3]
    assert (zero.precision, zero.recall, zero.f1, zero.support) == pytest.approx((1, 2 / 3, 0.8, 3))
    assert (one.precision, one.recall, one.f1, one.support) == pytest.approx((0.5, 1, 2 / 3, 2))
    assert (two.precision, two.recall, two.f1, two.support) == (0, 0, 0, 1)


def test_calibration_error_is_the_gap_of_confidence_and_accuracy():
    labels = np.zeros(100, int)
    predicted = np.where(np.arange(100) < 70, 0, 1)  # 70 % right
    assert calibration_error(labels, probabilities_of(predicted, 0.9)) == pytest.approx(0.2, abs=1e-6)
    assert calibration_error(labels, probabilities_of(predicted, 0.7)) == pytest.approx(0.0, abs=1e-6)


def test_calibration_gaps_of_opposite_sign_do_not_cancel():
    labels = np.zeros(200, int)
    predicted = np.r_[np.where(np.arange(100) < 70, 0, 1), np.where(np.arange(100) < 70, 0, 1)]
    probabilities = probabilities_of(predicted, np.r_[np.full(100, 0.9), np.full(100, 0.5)])
    assert calibration_error(labels, probabilities) == pytest.approx(0.2, abs=1e-6)


def test_mistakes_are_sorted_by_confidence():
    probabilities = probabilities_of([1, 2, 3, 4], [0.6, 0.9, 0.99, 0.8])
    found = mistakes(np.array([0, 0, 3, 0], np.uint8), probabilities)
    assert [(m.row, m.label, m.predicted) for m in found] == [(1, 0, 2), (3, 0, 4), (0, 0, 1)]
    assert found[0].confidence == pytest.approx(0.9)


def test_confusion_matrix_has_true_rows_and_predicted_columns():
    pixels = np.zeros((4, 784), np.uint8)
    result = evaluation(
        InMemoryImages(pixels, np.array([3, 3, 8, 8], np.uint8)),
        probabilities_of([3, 8, 8, 8], 0.9),
        AbstentionThreshold(),
    )
    assert result.confusion_matrix[3, 8] == 1
    assert result.confusion_matrix[8, 3] == 0
    assert result.accuracy == 0.75
    assert result.errors == 1
    assert result.log_loss == pytest.approx((3 * -np.log(0.9) - np.log(0.1 / 9)) / 4, rel=1e-5)


def test_accuracy_without_suspects_leaves_out_their_rows_only():
    right = np.arange(20) >= 4
    rows = {"probable label errors": np.array([0, 1]), "suspect labels": np.array([0, 1, 2, 19]), "none": np.array([])}
    rest = without_suspects(right, {name: numbers.astype(int) for name, numbers in rows.items()})
    assert [(one.left_out, one.n_left_out, one.n_rows, one.errors) for one in rest] == [
        ("probable label errors", 2, 18, 2),
        ("suspect labels", 4, 16, 1),
    ]
    assert rest[1].interval == pytest.approx(wilson_interval(15, 16))
    assert without_suspects(right, {"all": np.arange(20)}) == ()
