"""Check whether labels mean what their images show: which digits were mixed up, and how many are random."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from threadpoolctl import threadpool_limits

from schemas.digits import CLASSES
from schemas.images import Images
from schemas.profile import Profile
from schemas.validation import LabelAgreement

MAX_ROWS = 2_000
"""Rows of a part or file, chosen at random, that are checked."""
MIN_CLASS_ROWS = 15
"""Rows of a class below which a mix-up with another class isn't looked for."""
MIN_GAIN, MIN_FIT = 0.3, 0.65
"""Labels were mixed up if in other places they agree this much better for each digit moved, and this well overall."""
MAX_CONTRADICTED, SPARE_ROWS = 0.085, 13
"""Share of labels contradicted by other images, and rows on top of it, from which labels look random."""
MAX_CONFIRMED = 0.8
"""Share of labels confirmed by the reference or the champion from which they don't look random.

`benchmarks/labels.md`, and `benchmarks/labels-champion.md` with a champion, have the measurements behind these
thresholds.
"""
MIN_ROWS = 100
"""Rows below which it can't be said whether labels are random."""
PENALTY_ROWS = 100
"""Weight of the regression's penalty, as a number of rows."""

PredictDigits = Callable[[NDArray[np.uint8]], NDArray[np.integer]]
"""From pixels (rows × 784) to digits."""


class LabelChecker:
    """Compares labels with the reference's class means, with the champion, if there is one, and with each other."""

    def __init__(self, reference: Profile, champion: PredictDigits | None = None) -> None:
        self._reference, self._champion = reference, champion
        self._predict_by_means = nearest_mean(reference)

    def measure(self, images: Images) -> LabelAgreement:
        """Return how far the labels of at least one image agree with each of the others."""
        rows = np.arange(len(images))
        if len(rows) > MAX_ROWS:
            rows = np.sort(np.random.default_rng(0).choice(len(rows), MAX_ROWS, replace=False))
        pixels, labels = images.read(rows), images.labels[rows]
        with threadpool_limits(1, "blas"):  # on few rows, threads mostly wait for each other
            scores = (pixels - self._reference.mean) @ self._reference.components.T
        by_means = self._predict_by_means(scores)
        by_champion = None if self._champion is None else self._champion(pixels)
        predictions = [by_means] if by_champion is None else [by_champion, by_means]
        return LabelAgreement(
            n_rows=len(images),
            reference=float((by_means == labels).mean()),
            champion=None if by_champion is None else float((by_champion == labels).mean()),
            contradicted=contradicted_share(scores, labels),
            digits=next(filter(None, (find_mix_up(labels, predicted) for predicted in predictions)), None),
        )


def fault(agreement: LabelAgreement) -> str:
    """Return how the labels of a part or file contradict its images; "" if they don't."""
    if agreement.digits is not None:
        pairs = sorted((digit, label) for label, digit in enumerate(agreement.digits) if digit != label)
        message = f"labels look shifted, {', '.join(f'{digit}→{label}' for digit, label in pairs)} (digit→label)"
    elif _look_random(agreement):
        message = f"about {min(2 * agreement.contradicted, 1):.0%} of the labels look random"
    else:
        return ""
    if agreement.champion is None:
        return message
    return f"{message}; the champion agrees with {agreement.champion:.0%} of these labels"


def relabel_advice(digits: Sequence[int]) -> str:
    """Return the advice to repair labels that stand for these digits; labels run from 0, to 10 if there are 11."""
    return f": --relabel {','.join(f'{label}={digit}' for label, digit in enumerate(digits) if label != digit)}"


def nearest_mean(reference: Profile) -> Callable[[NDArray[np.floating]], NDArray[np.integer]]:
    """Return a function from scores on the reference's components (rows × 64) to the digit whose mean is nearest.

    The distance is Mahalanobis', as in linear discriminant analysis: the variance within classes is the total less that
    between the means. It is estimated roughly, so no direction counts as less than the mean variance.
    """
    means = (reference.class_means - reference.mean) @ reference.components.T
    shares = reference.label_counts / reference.n_rows
    centred = means - shares @ means
    within = np.diag(reference.variances) - (centred.T * shares) @ centred
    variances, directions = np.linalg.eigh(within)
    whitening = directions / np.sqrt(np.maximum(variances, reference.variances.mean()))
    whitened_means = means @ whitening
    # Of squared distances, only what depends on the mean; a class without images is never the nearest.
    offsets = np.where(reference.label_counts > 0, (whitened_means**2).sum(axis=1) / 2, np.inf)

    def predict(scores: NDArray[np.floating]) -> NDArray[np.integer]:
        return np.asarray((scores @ (whitening @ whitened_means.T) - offsets).argmax(axis=1))

    return predict


def find_mix_up(labels: NDArray[np.uint8], predicted: NDArray[np.integer]) -> tuple[int, ...] | None:
    """Return the digit that each label 0 to 9 stands for if that fits clearly better than the label itself, or None."""
    counts = np.zeros((len(CLASSES), len(CLASSES)))
    np.add.at(counts, (labels, predicted), 1)
    n_rows = counts.sum(axis=1)
    is_counted = n_rows >= MIN_CLASS_ROWS
    rates = counts / np.maximum(n_rows, 1)[:, None] * is_counted[:, None]
    _, digits = linear_sum_assignment(rates + 1e-6 * np.eye(len(CLASSES)), maximize=True)
    moved = np.flatnonzero((digits != CLASSES) & is_counted)
    if len(moved) < 2:  # noqa: PLR2004, a mix-up concerns two digits at least
        return None
    gains = rates[moved, digits[moved]] - rates[moved, moved]
    fit = rates[CLASSES, digits][is_counted].mean()
    return tuple(digits.tolist()) if gains.min() >= MIN_GAIN and fit >= MIN_FIT else None


def contradicted_share(scores: NDArray[np.floating], labels: NDArray[np.uint8]) -> float:
    """Return the share of images whose label is among the less likely half of the labels, by the other images.

    A ridge regression on the scores, fitted to all other images, ranks an image's labels. Half of random labels are
    contradicted, but few right ones, even where images are hard to tell apart. Of too few images, or one label, the
    share is 0.
    """
    present, codes = np.unique(labels, return_inverse=True)
    if len(present) < 2 or len(labels) < MIN_ROWS:  # noqa: PLR2004, nothing to confuse
        return 0.0
    with threadpool_limits(1, "blas"):
        ranked = leave_one_out(scores, np.eye(len(present))[codes])
    own = ranked[np.arange(len(labels)), codes]
    return float(((ranked > own[:, None]).sum(axis=1) >= len(present) / 2).mean())


def leave_one_out(scores: NDArray[np.floating], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a ridge regression on all other rows predicts for each row.

    Folds would be fitted to fewer rows, and their random choice changes the result for small files. The prediction
    without a row follows from the one with it, by the row's leverage (Golub, Heath and Wahba 1979).
    """
    centred = (scores - scores.mean(axis=0)).astype(np.float64)
    penalty = PENALTY_ROWS * centred.var(axis=0).mean()
    weights = centred @ np.linalg.pinv(centred.T @ centred + penalty * np.eye(centred.shape[1]), hermitian=True)
    leverage = ((weights * centred).sum(axis=1) + 1 / len(centred))[:, None]
    fitted = targets.mean(axis=0) + weights @ (centred.T @ targets)
    return np.asarray((fitted - leverage * targets) / (1 - leverage))


def _look_random(agreement: LabelAgreement) -> bool:
    n_checked = min(agreement.n_rows, MAX_ROWS)
    confirmed = max(agreement.reference, agreement.champion or 0)
    return confirmed < MAX_CONFIRMED and agreement.contradicted > MAX_CONTRADICTED + SPARE_ROWS / n_checked
