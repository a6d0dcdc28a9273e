"""The abstention threshold: the lowest confidence that keeps 99.9 % of the predictions right."""

import numpy as np
import pytest

from tasks.scoring.metrics import abstention_threshold, measure_abstention


def probabilities_of(confidences, wrong=()):
    """Return probabilities that predict class 0 with these confidences, and class 1 in the wrong rows."""
    probabilities = np.repeat(((1 - np.asarray(confidences)) / 9)[:, None], 10, axis=1).astype(np.float32)
    predicted = np.zeros(len(probabilities), int)
    predicted[list(wrong)] = 1
    probabilities[np.arange(len(probabilities)), predicted] = confidences
    return probabilities


CONFIDENCES = np.linspace(0.99, 0.5, 4000)
LABELS = np.zeros(4000, int)


@pytest.mark.parametrize(
    ("wrong", "least"),
    [
        ([2500, 3100, 3200, 3990], CONFIDENCES[3999]),  # four of 4,000 are a thousandth
        ([1000, 1001, 1002], CONFIDENCES[3999]),
        (range(1000, 1010), CONFIDENCES[1000]),
    ],
)
def test_the_threshold_is_the_lowest_confidence_with_enough_accuracy(wrong, least):
    probabilities = probabilities_of(CONFIDENCES, wrong)
    chosen = abstention_threshold(probabilities, LABELS)
    assert chosen == pytest.approx(least)
    assert measure_abstention(chosen, probabilities, LABELS).accuracy >= 0.999


def test_coverage_and_accuracy_are_those_at_or_above_the_threshold():
    measured = measure_abstention(0.8, probabilities_of([0.9, 0.85, 0.7, 0.6], wrong=[1, 3]), np.zeros(4, int))
    assert (measured.threshold, measured.coverage, measured.accuracy) == (0.8, 0.5, 0.5)


def test_rows_of_equal_confidence_are_accepted_together_or_not_at_all():
    probabilities = probabilities_of(np.full(2000, 0.9), wrong=[1999, 1998, 1997])
    assert abstention_threshold(probabilities, np.zeros(2000, int)) is None


def test_without_held_out_rows_there_is_no_threshold():
    assert abstention_threshold(np.empty((0, 10), np.float32), np.empty(0, int)) is None


def test_without_a_threshold_no_row_is_accepted():
    measured = measure_abstention(None, probabilities_of([0.9, 0.8]), np.zeros(2, int))
    assert (measured.threshold, measured.coverage, measured.accuracy) == (None, 0, None)
