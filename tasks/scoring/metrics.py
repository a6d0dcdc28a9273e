"""Metrics from true labels and predicted probabilities, and the abstention threshold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binomtest
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

from schemas.abstention import ACCEPTED_SHARES, ALPHA, LEVELS, Abstention, AbstentionThreshold
from schemas.digits import CLASSES
from schemas.images import Images
from schemas.results import ClassMetrics, Evaluation, Mistake, RestAccuracy

MAX_SHOWN_MISTAKES = 24
CALIBRATION_BINS = 15


def evaluation(
    images: Images, probabilities: NDArray[np.float32], threshold: AbstentionThreshold, n_folds: int = 0
) -> Evaluation:
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
        n_folds=n_folds,
    )


def without_suspects(right: NDArray[np.bool_], suspects: Mapping[str, NDArray[np.int64]]) -> tuple[RestAccuracy, ...]:
    """Return the accuracy without each kind of suspect rows that there are."""
    results = []
    for name, rows in suspects.items():
        rest = np.delete(right, rows)
        if len(rows) and len(rest):
            n_right = int(rest.sum())
            interval = wilson_interval(n_right, len(rest))
            results.append(RestAccuracy(name, len(rows), len(rest), len(rest) - n_right, interval))
    return tuple(results)


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


def abstention_threshold(probabilities: NDArray[np.float32], labels: NDArray[np.integer]) -> AbstentionThreshold:
    """Return the threshold with the highest accuracy that these held-out predictions prove, no threshold without one.

    The rows above the k-th highest confidence are a random sample of all images above it, so the number of right ones
    is binomial, and Clopper and Pearson's exact bound (1934) holds for the accuracy. The bounds of all shares hold
    together, because each has its part of the probability of error (Bonferroni).
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    descending = np.sort(confidence)[::-1]
    bounds = {}
    for share in ACCEPTED_SHARES if len(labels) else ():
        above = descending[int(share * len(labels))] if share < 1 else np.float32(-1)
        accepted = right[confidence > above]
        if n_right := int(accepted.sum()):
            bound = beta.ppf(ALPHA, n_right, len(accepted) - n_right + 1)
            bounds[max(0.0, float(np.nextafter(above, np.float32(2))))] = bound
    choices = ((level, value) for level in LEVELS for value, bound in bounds.items() if bound >= level)
    level, value = next(choices, (None, None))
    return AbstentionThreshold(value, level)


def measure_abstention(
    threshold: AbstentionThreshold, probabilities: NDArray[np.float32], labels: NDArray[np.integer]
) -> Abstention:
    """Compute coverage and accuracy of a threshold on other rows; without one, the network abstains from all."""
    accepted = probabilities.max(axis=1) >= (np.inf if threshold.value is None else threshold.value)
    right = probabilities.argmax(axis=1)[accepted] == labels[accepted]
    accuracy = float(right.mean()) if len(right) else None
    return Abstention(threshold.value, float(accepted.mean()), accuracy, threshold.level)
