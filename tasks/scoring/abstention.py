"""From which confidence on a network may answer: set on rows that it wasn't trained on, judged on the test rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from schemas.results import Abstention

if TYPE_CHECKING:
    from numpy.typing import NDArray

WANTED = 0.999
"""The share of its answers that has to be right."""


def threshold(answers: NDArray[np.float32], labels: NDArray[np.integer]) -> float | None:
    """Give the lowest confidence from which on 99.9 % of the answers (rows × 10) are right; None if there is none.

    None of no rows, too: what was trained on is no measure.
    """
    confidence = answers.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(answers.argmax(axis=1)[order] != labels[order])
    answered = np.arange(1, len(order) + 1)
    # Rows of one confidence are answered together or not at all.
    last_of_its_confidence = np.append(np.diff(confidence[order]) != 0, True)[: len(order)]
    enough = np.flatnonzero((wrong <= (1 - WANTED) * answered) & last_of_its_confidence)
    return float(confidence[order[enough[-1]]]) if len(enough) else None


def judged(least: float | None, answers: NDArray[np.float32], labels: NDArray[np.integer]) -> Abstention:
    """Tell how many of other rows a threshold lets be answered, and how many of these answers are right."""
    answered = answers.max(axis=1) >= (np.inf if least is None else least)
    right = answers.argmax(axis=1)[answered] == labels[answered]
    return Abstention(
        threshold=least,
        coverage=float(answered.mean()),
        accuracy=float(right.mean()) if len(right) else None,
    )
