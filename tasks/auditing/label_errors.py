"""Confident learning: find labels that networks trained on other rows contradict.

Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels". Their own
implementation, cleanlab, is AGPL; these are the two formulas that the audit needs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from schemas.digits import CLASSES


def self_confidence(probabilities: NDArray[np.floating], labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the probability of each row's own label; the lower, the more suspect the label."""
    return np.asarray(probabilities[np.arange(len(labels)), labels], np.float64)


def class_thresholds(probabilities: NDArray[np.floating], labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return t_j, the mean self-confidence of the rows labelled j; infinite for a class without rows."""
    confidence = self_confidence(probabilities, labels)
    counts = np.bincount(labels, minlength=len(CLASSES))
    sums = np.bincount(labels, confidence, minlength=len(CLASSES))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def is_confident_error(probabilities: NDArray[np.floating], labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return whether a row counts off the diagonal of the confident joint.

    These are the rows for which the most probable class j of those with a probability of at least t_j isn't the label:
    the networks are as sure of another class as they usually are of its own rows.
    """
    confident = np.where(probabilities >= class_thresholds(probabilities, labels), probabilities, -1)
    return np.asarray((confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != labels))
