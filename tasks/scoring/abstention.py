"""The confidence below which a network abstains: chosen on held-out rows, measured on the test rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from schemas.results import Abstention

MIN_ACCURACY = 0.999
"""Of the predictions that it doesn't abstain from."""


def threshold(probabilities: NDArray[np.float32], labels: NDArray[np.integer]) -> float | None:
    """Return the lowest confidence at and above which 99.9 % of the predictions (rows × 10) are right, or None."""
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    n_wrong = np.cumsum(probabilities.argmax(axis=1)[order] != labels[order])
    n_accepted = np.arange(1, len(order) + 1)
    # Rows of equal confidence are accepted together or not at all.
    is_last_of_equals = np.append(np.diff(confidence[order]) != 0, True)[: len(order)]
    candidates = np.flatnonzero((n_wrong <= (1 - MIN_ACCURACY) * n_accepted) & is_last_of_equals)
    return float(confidence[order[candidates[-1]]]) if len(candidates) else None


def measure(threshold: float | None, probabilities: NDArray[np.float32], labels: NDArray[np.integer]) -> Abstention:
    """Measure a threshold on other rows; None abstains from all."""
    accepted = probabilities.max(axis=1) >= (np.inf if threshold is None else threshold)
    right = probabilities.argmax(axis=1)[accepted] == labels[accepted]
    return Abstention(threshold, float(accepted.mean()), float(right.mean()) if len(right) else None)
