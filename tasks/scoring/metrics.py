"""Metrics from true labels and predicted probabilities, and the abstention threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

from schemas.digits import CLASSES
from schemas.images import Images
from schemas.results import Abstention, ClassMetrics, Evaluation, Mistake

MAX_SHOWN_MISTAKES = 24
CALIBRATION_BINS = 15
MIN_ACCEPTED_ACCURACY = 0.999
"""Minimum accuracy, on held-out rows, of the predictions at or above the abstention threshold."""


def evaluation(images: Images, probabilities: NDArray[np.float32], threshold: float | None) -> Evaluation:
    """Evaluate probabilities (rows × 10) against the images' labels; below the threshold the network abstains."""
    labels, predicted = images.labels, probabilities.argmax(axis=1)
    matrix = confusion_matrix(labels, predicted, labels=CLASSES)
    correct = int(matrix.trace())
    exact = probabilities.astype(np.float64)  # scikit-learn warns if rounding in single precision makes a sum not 1
    exact /= exact.sum(axis=1, keepdims=True)
    return Evaluation(
        n_rows=len(labels),
        accuracy=correct / len(labels),
        interval=wilson_interval(correct, len(labels)),
        confusion_matrix=matrix,
        classes=class_metrics(labels, predicted),
        log_loss=float(log_loss(labels, exact, labels=CLASSES)),
        calibration_error=calibration_error(labels, probabilities),
        mistakes=mistakes(labels, probabilities),
        abstention=measure_abstention(threshold, probabilities, labels),
        right=predicted == labels,
    )


def wilson_interval(correct: int, rows: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a proportion, which is valid near 100 %, too."""
    interval = binomtest(correct, rows).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def class_metrics(labels: NDArray[np.uint8], predicted: NDArray[np.int64]) -> tuple[ClassMetrics, ...]:
    """Return precision, recall, F1 and support of every class; 0 where a class was never predicted."""
    columns = precision_recall_fscore_support(labels, predicted, labels=CLASSES, zero_division=0.0)
    return tuple(ClassMetrics(*row) for row in zip(CLASSES, *(column.tolist() for column in columns), strict=True))


def calibration_error(labels: NDArray[np.uint8], probabilities: NDArray[np.float32]) -> float:
    """Return the expected calibration error of the predicted class, 15 bins of equal width (Guo et al. 2017, eq. 3)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    # |share right - mean confidence| of a bin, weighted by its rows, is |rows right - summed confidence| over all rows.
    surplus = np.bincount(bins, weights=right - confidence.astype(np.float64), minlength=CALIBRATION_BINS)
    return float(np.abs(surplus).sum() / len(labels))


def mistakes(labels: NDArray[np.uint8], probabilities: NDArray[np.float32]) -> tuple[Mistake, ...]:
    """Return up to 24 misclassified rows, the most confident first."""
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    shown = wrong[np.argsort(-confidence[wrong], kind="stable")][:MAX_SHOWN_MISTAKES]
    return tuple(Mistake(int(row), int(labels[row]), int(predicted[row]), float(confidence[row])) for row in shown)


def abstention_threshold(probabilities: NDArray[np.float32], labels: NDArray[np.integer]) -> float | None:
    """Return the lowest confidence at and above which 99.9 % of the predictions (rows × 10) are right, or None."""
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    n_wrong = np.cumsum(probabilities.argmax(axis=1)[order] != labels[order])
    n_accepted = np.arange(1, len(order) + 1)
    # Rows of equal confidence are accepted together or not at all.
    is_last_of_equals = np.append(np.diff(confidence[order]) != 0, True)[: len(order)]
    candidates = np.flatnonzero((n_wrong <= (1 - MIN_ACCEPTED_ACCURACY) * n_accepted) & is_last_of_equals)
    return float(confidence[order[candidates[-1]]]) if len(candidates) else None


def measure_abstention(
    threshold: float | None, probabilities: NDArray[np.float32], labels: NDArray[np.integer]
) -> Abstention:
    """Compute coverage and accuracy of a threshold on other rows; with None, the network abstains from all of them."""
    accepted = probabilities.max(axis=1) >= (np.inf if threshold is None else threshold)
    right = probabilities.argmax(axis=1)[accepted] == labels[accepted]
    return Abstention(threshold, float(accepted.mean()), float(right.mean()) if len(right) else None)
