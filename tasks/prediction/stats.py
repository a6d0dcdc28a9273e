"""Add up the answers to batch after batch; nothing of a batch is kept but counts and a few examples."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from schemas.digits import CLASSES, SIDE
from schemas.prediction import Example, Prediction, ScoredPredictions
from schemas.results import Abstention, CheckResult
from tasks.scoring.metrics import wilson_interval
from tasks.validation import profiles
from tasks.validation.drift import drifts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from schemas.prediction import PredictionBatch, Predictor
    from schemas.results import Drift
    from schemas.rules import InputRules
    from tasks.validation.profiles import Histograms

STEPS = 20
"""Of the confidence, from 0 to 1."""
DRAWN = 24


class PredictionStats:
    """What the answers so far come to."""

    def __init__(self, predictor: Predictor) -> None:
        """Begin with none."""
        self.rows = 0
        self._predictor = predictor
        self._counts: Histograms | None = None
        self._abstained = np.zeros(len(CLASSES), np.int64)
        self._confidences = np.zeros(STEPS, np.int64)
        self._unlike = 0
        self._unanswered: Counter[str] = Counter()
        self._least_sure: list[tuple[float, Example]] = []
        self._least_alike: list[tuple[float, Example]] = []
        self._confusion = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
        self._answered_rightly = np.zeros(2, np.int64)

    def add(self, answers: PredictionBatch, counts: Histograms) -> None:
        """Add the answers to a batch, and its counts by the version's profile."""
        self.rows += len(answers.label)
        if self._counts is None:
            self._counts = counts
        else:
            self._counts += counts
        given = answers.reason == ""
        self._unanswered.update(answers.reason[~given])
        self._abstained += _by_class(answers.label[given & answers.abstained])
        steps = np.minimum((answers.confidence[given] * STEPS).astype(int), STEPS - 1)
        self._confidences += np.bincount(steps, minlength=STEPS)
        unlike = given & answers.unlike_training
        self._unlike += int(unlike.sum())
        self._least_sure = _least(self._least_sure, answers.confidence, given, answers)
        self._least_alike = _least(self._least_alike, -answers.distance, unlike, answers)
        self._compare(answers, given & (answers.true >= 0))

    def result(self, source: str, output: str, rules: InputRules, seconds: float) -> Prediction:
        """Give what all answers come to."""
        if self._counts is None:
            raise ValueError("nothing was answered")
        profile, counts = self._predictor.profile, self._counts
        far = drifts("input", counts, profile, rules) if counts.labels.sum() else []
        return Prediction(
            source=source,
            version=self._predictor.version,
            threshold=self._predictor.threshold,
            output=output,
            seconds=seconds,
            n_rows=self.rows,
            labels=counts.labels,
            abstained=self._abstained,
            confidences=self._confidences,
            unlike_training=self._unlike,
            unanswered=dict(self._unanswered.most_common()),
            drifts=tuple(far),
            findings=tuple(_findings(counts, self.rows, far, rules)),
            reference=f"{profile.name} of version {self._predictor.version}, {profile.n_rows:,} rows",
            class_means=counts.class_means,
            reference_means=profile.class_means,
            least_sure=tuple(example for _, example in self._least_sure),
            least_alike=tuple(example for _, example in self._least_alike),
            score=self._score(),
        )

    def _compare(self, answers: PredictionBatch, known: NDArray[np.bool_]) -> None:
        pairs = answers.true[known] * len(CLASSES) + answers.label[known]
        self._confusion += np.bincount(pairs, minlength=len(CLASSES) ** 2).reshape(self._confusion.shape)
        sure = known & ~answers.abstained
        self._answered_rightly += (int((answers.true[sure] == answers.label[sure]).sum()), int(sure.sum()))

    def _score(self) -> ScoredPredictions | None:
        rows, right = int(self._confusion.sum()), int(self._confusion.trace())
        if not rows:
            return None
        rightly, answered = map(int, self._answered_rightly)
        return ScoredPredictions(
            n_rows=rows,
            accuracy=right / rows,
            interval=wilson_interval(right, rows),
            confusion_matrix=self._confusion,
            answered=Abstention(self._predictor.threshold, answered / rows, rightly / answered if answered else None),
        )


def _by_class(labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.bincount(labels, minlength=len(CLASSES))


def _least(
    kept: list[tuple[float, Example]], values: NDArray[np.float32], marked: NDArray[np.bool_], answers: PredictionBatch
) -> list[tuple[float, Example]]:
    """Keep the examples of the least values, of those so far and of the marked rows of a batch, in their order."""
    found = np.flatnonzero(marked)
    lowest = found[np.argsort(values[found], kind="stable")[:DRAWN]]
    new = [(float(values[row]), _example(answers, int(row))) for row in lowest]
    return sorted([*kept, *new], key=lambda pair: pair[0])[:DRAWN]


def _example(answers: PredictionBatch, row: int) -> Example:
    return Example(
        item=str(answers.items[row]),
        picture=answers.pixels[row].reshape(SIDE, SIDE).copy(),
        label=int(answers.label[row]),
        confidence=float(answers.confidence[row]),
        second=int(answers.second[row]),
        abstained=bool(answers.abstained[row]),
    )


def _findings(counts: Histograms, rows: int, measured: Iterable[Drift], rules: InputRules) -> list[CheckResult]:
    answered = int(counts.labels.sum())
    bright = counts.bright / max(answered, 1)
    found = []
    if answered < rows:
        found.append(CheckResult("checks", "warning", f"{rows - answered:,} of {rows:,} images have no answer"))
    if bright > profiles.BRIGHT_WARNED:
        found.append(CheckResult("polarity", "warning", profiles.bright_message(bright)))
    return found + [CheckResult("drift", rules.drift, drift.summary) for drift in measured if drift.exceeds_threshold]
