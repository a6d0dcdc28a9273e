"""The confidence below which a network abstains: chosen on held-out rows, measured on the test rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from schemas.results import Abstention

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_ACCURACY = 0.999
"""Share of the predictions it doesn't abstain from that has to be right."""


def threshold(probabilities: NDArray[np.float32], labels: NDArray[np.integer]) -> float | None:
    """Return the lowest confidence at and above which 99.9 % of the predictions are right, or None.

    Args:
        probabilities: Rows × 10, of rows that were held out of training.
        labels: The true labels; without any rows the result is None.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    n_wrong = np.cumsum(probabilities.argmax(axis=1)[order] != labels[order])
    n_accepted = np.arange(1, len(order) + 1)
    # Rows of equal confidence are accepted together or not at all.
    is_last_of_equals = np.append(np.diff(confidence[order]) != 0, True)[: len(order)]
    candidates = np.flatnonzero((n_wrong <= (1 - MIN_ACCURACY) * n_accepted) & is_last_of_equals)
    return float(confidence[order[candidates[-1]]]) if len(candidates) else None


def measure(
    least_confidence: float | None, probabilities: NDArray[np.float32], labels: NDArray[np.integer]
) -> Abstention:
    """Measure a threshold on other rows: the share it accepts, and the accuracy on these."""
    accepted = probabilities.max(axis=1) >= (np.inf if least_confidence is None else least_confidence)
    right = probabilities.argmax(axis=1)[accepted] == labels[accepted]
    return Abstention(
        threshold=least_confidence,
        coverage=float(accepted.mean()),
        accuracy=float(right.mean()) if len(right) else None,
    )
