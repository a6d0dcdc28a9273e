"""Aggregate the predictions of all batches; only counts and a few examples are kept in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from schemas.abstention import Abstention
from schemas.counts import count
from schemas.digits import CLASSES, SIDE
from schemas.errors import MAX_JOINED
from schemas.prediction import Example, Prediction, PredictionBatch, Predictor
from schemas.results import ScoredPredictions
from schemas.rules import InputRules
from schemas.validation import CheckResult, Drift
from tasks.scoring.metrics import wilson_interval
from tasks.validation import profiles
from tasks.validation.drift import drifts
from tasks.validation.profiles import Histograms

CONFIDENCE_BINS = 20
MAX_EXAMPLES = 24


class PredictionStats:
    """Aggregated statistics of the predictions so far."""

    def __init__(self, predictor: Predictor) -> None:
        self.n_rows = 0
        self._predictor = predictor
        self._counts: Histograms | None = None
        self._abstained = np.zeros(len(CLASSES), np.int64)
        self._confidences = np.zeros(CONFIDENCE_BINS, np.int64)
        self._n_unlike = 0
        self._invalid: Counter[str] = Counter()
        self._unpredicted: list[str] = []
        self._notes: dict[str, None] = {}
        self._least_confident: list[tuple[float, Example]] = []
        self._least_similar: list[tuple[float, Example]] = []
        # By abstained (1) or not (0), true label, predicted label.
        self._confusion = np.zeros((2, len(CLASSES), len(CLASSES)), np.int64)

    def add(self, batch: PredictionBatch, counts: Histograms, notes: Iterable[str] = ()) -> None:
        self._notes |= dict.fromkeys(notes)
        self.n_rows += len(batch.label)
        if self._counts is None:
            self._counts = counts
        else:
            self._counts += counts
        valid = batch.fault == ""
        first = np.flatnonzero(~valid)[: MAX_JOINED - len(self._unpredicted)]
        self._unpredicted += [f"{batch.items[row]}: {batch.reason[row]}" for row in first]
        self._invalid.update(fault.partition(":")[0] for fault in batch.fault[~valid])
        self._abstained += np.bincount(batch.label[valid & batch.abstained], minlength=len(CLASSES))
        self._confidences += np.histogram(batch.confidence[valid], CONFIDENCE_BINS, (0, 1))[0]
        unlike = valid & batch.unlike_training
        self._n_unlike += int(unlike.sum())
        self._least_confident = _lowest(self._least_confident, batch.confidence, valid, batch)
        self._least_similar = _lowest(self._least_similar, -batch.distance, unlike, batch)
        scored = valid & (batch.true_label >= 0)
        cells = batch.abstained.astype(int)[scored], batch.true_label[scored], batch.label[scored]
        np.add.at(self._confusion, cells, 1)

    def result(self, source: str, output: str, rules: InputRules, seconds: float) -> Prediction:
        if self._counts is None:
            raise ValueError("no batch was added")
        profile, counts = self._predictor.profile, self._counts
        input_drifts = drifts("input", counts, profile, rules) if counts.labels.sum() else []
        return Prediction(
            source=source,
            version=self._predictor.version,
            threshold=self._predictor.threshold,
            output=output,
            seconds=seconds,
            n_rows=self.n_rows,
            labels=counts.labels,
            abstained=self._abstained,
            confidences=self._confidences,
            unlike_training=self._n_unlike,
            invalid=dict(self._invalid.most_common()),
            unpredicted=tuple(self._unpredicted),
            drifts=tuple(input_drifts),
            findings=tuple(_findings(counts, self.n_rows, input_drifts, rules)),
            reference=f"{profile.name} of version {self._predictor.version}, {profile.n_rows:,} rows",
            class_means=counts.class_means,
            reference_means=profile.class_means,
            least_confident=tuple(example for _, example in self._least_confident),
            least_similar=tuple(example for _, example in self._least_similar),
            score=self._score(),
            level=self._predictor.level,
            notes=tuple(self._notes),
        )

    def _score(self) -> ScoredPredictions | None:
        confusion, accepted = self._confusion.sum(axis=0), self._confusion[0]
        n_rows, n_right, n_accepted = int(confusion.sum()), int(confusion.trace()), int(accepted.sum())
        if not n_rows:
            return None
        accuracy = int(accepted.trace()) / n_accepted if n_accepted else None
        return ScoredPredictions(
            n_rows=n_rows,
            accuracy=n_right / n_rows,
            interval=wilson_interval(n_right, n_rows),
            confusion_matrix=confusion,
            abstention=Abstention(self._predictor.threshold, n_accepted / n_rows, accuracy, self._predictor.level),
        )


def _lowest(
    lowest: list[tuple[float, Example]], values: NDArray[np.float32], marked: NDArray[np.bool_], batch: PredictionBatch
) -> list[tuple[float, Example]]:
    """Return the examples with the lowest values, after merging the marked rows of a batch; lowest first."""
    rows = np.flatnonzero(marked)
    rows = rows[np.argsort(values[rows], kind="stable")[:MAX_EXAMPLES]]
    new = [(float(values[row]), _example(batch, int(row))) for row in rows]
    return sorted([*lowest, *new], key=lambda pair: pair[0])[:MAX_EXAMPLES]


def _example(batch: PredictionBatch, row: int) -> Example:
    return Example(
        item=str(batch.items[row]),
        picture=batch.pixels[row].reshape(SIDE, SIDE).copy(),
        label=int(batch.label[row]),
        confidence=float(batch.confidence[row]),
        second=int(batch.second[row]),
        abstained=bool(batch.abstained[row]),
        reason=batch.reason[row],
    )


def _findings(counts: Histograms, n_rows: int, input_drifts: Iterable[Drift], rules: InputRules) -> list[CheckResult]:
    n_valid = int(counts.labels.sum())
    bright = counts.bright / max(n_valid, 1)
    findings = [CheckResult("drift", rules.drift, drift.summary) for drift in input_drifts if drift.exceeds_threshold]
    if bright > profiles.MAX_BRIGHT_SHARE:
        findings.insert(0, CheckResult("polarity", "warning", profiles.bright_message(bright)))
    if n_valid < n_rows:
        message = f"no prediction for {n_rows - n_valid:,} of {count(n_rows, 'image')}"
        findings.insert(0, CheckResult("checks", "warning", message))
    return findings
