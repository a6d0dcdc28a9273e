"""The statistics of the gate: paired tests of two networks on the same rows, and the p-value that is needed.

Each network answers every test image and small deformations of it. A row's surplus is the candidate's number of right
answers minus the champion's. The rows are independent, the answers to a row aren't.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

MAX_COUNTED = 0.5
"""A refused candidate with a higher p-value is plainly no better, and costs the next ones nothing."""
MIN_SHARE = 1 / 20
"""Share of alpha that every candidate gets, so that the gate stays open after any number of refusals."""
POWER = 0.8
"""Probability that a candidate as good as the champion shows that it is within `shown_margin`."""


def p_threshold(alpha: float, counted: int) -> float:
    """Return the p-value that is needed after some counted refusals since a candidate last proved to be better.

    The k-th candidate gets 6 / (π k)² of alpha, which sums to 1 (as the levels of Javanmard and Montanari 2018, which
    begin again after each discovery), but at least a twentieth. High p-values aren't counted (discarding, Tian and
    Ramdas 2019).
    """
    return alpha * max(6 / (math.pi * (counted + 1)) ** 2, MIN_SHARE)


def sign_flip_test(surplus: NDArray[np.integer]) -> float:
    """Return the one-sided exact p-value of a sum that high if the sign of each row's surplus were a coin flip.

    With one answer a row this is McNemar's exact test.
    """
    sizes, counts = np.unique(np.abs(surplus[surplus != 0]), return_counts=True)
    chances = np.ones(1)  # of each sum of the positive surpluses
    for size, n_rows in zip(sizes.tolist(), counts.tolist(), strict=True):
        spaced = np.zeros(size * n_rows + 1)
        spaced[::size] = binom.pmf(np.arange(n_rows + 1), n_rows, 0.5)
        chances = np.convolve(chances, spaced)
    return min(float(chances[int(surplus[surplus > 0].sum()) :].sum()), 1.0)


def mcnemar_test(more: int, less: int) -> float:
    """Return the one-sided p-value of McNemar's exact test: `more` or above, if both kinds were equally likely."""
    return float(binom.sf(more - 1, more + less, 0.5))


def standard_error(differences: NDArray[np.floating]) -> tuple[float, float]:
    """Return the mean of the rows' differences, each from -1 to 1, and its standard error.

    Half a row is added to each kind of disagreement, and one to the others: two networks that agree on all of a few
    rows may still differ (Agresti and Min 2005).
    """
    n_rows = len(differences) + 2
    mean = float(differences.sum()) / n_rows
    return mean, math.sqrt((float((differences**2).sum()) + 1) / n_rows - mean**2) / math.sqrt(n_rows)


def lower_bound(differences: NDArray[np.floating], alpha: float) -> float:
    """Return the lower confidence bound of the mean difference, at level 1 - alpha."""
    mean, error = standard_error(differences)
    return mean - float(norm.isf(alpha)) * error


def shown_margin(differences: NDArray[np.floating], alpha: float) -> float:
    """Return the smallest loss that these rows rule out for most candidates that are as good as the champion."""
    return float(norm.isf(alpha) + norm.ppf(POWER)) * standard_error(differences)[1]


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple testing (Holm 1979)."""
    order = np.argsort(p_values)
    steps = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected.tolist()
