"""From which confidence on to answer: as low as 99.9 % right answers allow."""

import numpy as np
import pytest

from tasks.scoring.abstention import judged, threshold


def answers(confidences, wrong=()):
    """Give answers for class 0, except for the wrong ones, with these confidences."""
    found = np.repeat(((1 - np.asarray(confidences)) / 9)[:, None], 10, axis=1).astype(np.float32)
    said = np.zeros(len(found), int)
    said[list(wrong)] = 1
    found[np.arange(len(found)), said] = confidences
    return found


def test_it_is_the_lowest_confidence_that_keeps_the_answers_right():
    confidences = np.linspace(0.99, 0.5, 4000)
    found = answers(confidences, wrong=[2500, 3100, 3200, 3990])
    labels = np.zeros(4000, int)
    least = threshold(found, labels)
    # Four wrong ones are a thousandth of 4,000: all may be answered.
    assert least == pytest.approx(confidences[3999])
    assert judged(least, found, labels).coverage == 1
    spoiled = answers(confidences, wrong=[1000, 1001, 1002])
    least = threshold(spoiled, labels)
    assert judged(least, spoiled, labels).accuracy >= 0.999
    assert least == pytest.approx(confidences[3999])
    assert threshold(answers(confidences, wrong=range(1000, 1010)), labels) == pytest.approx(confidences[1000])


def test_rows_of_one_confidence_are_answered_together():
    found = answers(np.full(2000, 0.9), wrong=[1999, 1998, 1997])
    assert threshold(found, np.zeros(2000, int)) is None


def test_nothing_held_out_gives_no_threshold():
    assert threshold(np.empty((0, 10), np.float32), np.empty(0, int)) is None


def test_without_a_threshold_nothing_is_answered():
    nothing = judged(None, answers([0.9, 0.8]), np.zeros(2, int))
    assert (nothing.threshold, nothing.coverage, nothing.accuracy) == (None, 0, None)
