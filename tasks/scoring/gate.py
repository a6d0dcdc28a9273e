"""Decide whether a candidate may replace the champion, from the predictions of both on the same test rows.

A new criterion is one function and one entry of `CRITERIA`; a new threshold is a field of `GateRules`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from schemas.digits import CLASSES
from schemas.gate import ClassTest, Decision, GateRules

MAX_SHOWN_ROWS = 16


class Candidate(NamedTuple):
    """A new network: whether it predicts each test row correctly, and what it costs."""

    right: NDArray[np.bool_]
    calibration_error: float
    model_mib: float
    latency_ms: float

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())


class Champion(NamedTuple):
    """The current champion: whether it predicts the same rows correctly; None if it can't be evaluated, with why."""

    version: int
    right: NDArray[np.bool_] | None
    fault: str = ""


class Comparison(NamedTuple):
    """Candidate against champion. The fields are those of `Decision`."""

    champion_accuracy: float
    fixed: int
    made: int
    difference: float
    lower: float
    alpha: float
    p_better: float
    p_worse: float
    classes: tuple[ClassTest, ...]
    fixed_rows: tuple[int, ...]
    broken_rows: tuple[int, ...]


class Criterion(NamedTuple):
    """A condition of the gate.

    `objection` returns why a candidate doesn't meet it, or None; the comparison is None for the first candidate of a
    store. A refusal starts with `name`, and ends with the flag and value of `threshold`, a field of `GateRules`.
    """

    name: str
    objection: Callable[[Candidate, Comparison | None, GateRules], str | None]
    threshold: str


def _low_accuracy(candidate: Candidate, _comparison: Comparison | None, rules: GateRules) -> str | None:
    return f"{candidate.accuracy:.2%} is too low" if candidate.accuracy < rules.min_accuracy else None


def _high_calibration_error(candidate: Candidate, comparison: Comparison | None, rules: GateRules) -> str | None:
    error = candidate.calibration_error
    return f"{error:.3g} is too high" if comparison and error > rules.max_calibration_error else None


def _large_model(candidate: Candidate, comparison: Comparison | None, rules: GateRules) -> str | None:
    size = candidate.model_mib
    return f"{size:.3g} MiB is too large" if comparison and size > rules.max_model_mib else None


def _slow_model(candidate: Candidate, comparison: Comparison | None, rules: GateRules) -> str | None:
    latency = candidate.latency_ms
    return f"{latency:.3g} ms for one image is too long" if comparison and latency > rules.max_latency_ms else None


def _maybe_worse(_candidate: Candidate, comparison: Comparison | None, rules: GateRules) -> str | None:
    if comparison is None or comparison.lower >= -rules.gate_margin or comparison.p_better < comparison.alpha:
        return None
    return (
        f"it fixes {comparison.fixed:,} mistakes and makes {comparison.made:,} new ones, so it may be "
        f"{-comparison.lower:.2f} percentage points worse"
    )


def _worse_classes(_candidate: Candidate, comparison: Comparison | None, rules: GateRules) -> str | None:
    classes = comparison.classes if comparison else ()
    p_values = holm([test.p_value for test in classes])
    worse = [str(test.label) for test, p in zip(classes, p_values, strict=True) if p < rules.gate_alpha]
    return f"significantly lower for {', '.join(worse)}" if worse else None


CRITERIA = (
    Criterion("accuracy", _low_accuracy, "min_accuracy"),
    Criterion("calibration error", _high_calibration_error, "max_calibration_error"),
    Criterion("model size", _large_model, "max_model_mib"),
    Criterion("latency", _slow_model, "max_latency_ms"),
    Criterion("comparison with the champion", _maybe_worse, "gate_margin"),
    Criterion("recall", _worse_classes, "gate_alpha"),
)
"""All but the first apply only where there is a champion to compare with."""


def decide(  # noqa: PLR0913, all that a decision depends on
    candidate: Candidate,
    champion: Champion | None,
    labels: NDArray[np.uint8],
    rules: GateRules,
    *,
    refused_before: int = 0,
    forced: str | None = None,
) -> Decision:
    """Promote a candidate that meets all criteria: good enough, and better than the champion or not worse.

    It is better if McNemar's exact test says so, on the rows where just one of the two is right. It is not worse if the
    lower bound of the difference is above the margin. The bound combines exact bounds (Clopper and Pearson 1934) of how
    often mistakes are fixed and newly made. Many retrainings would eventually promote a worse candidate by luck, so
    alpha is spent over the candidates of one champion: the k-th gets 6 / (π k)² of it, which adds up to the whole.
    """
    comparison = None
    if champion is not None and champion.right is not None:
        comparison = _compare(candidate.right, champion.right, labels, rules.gate_alpha, refused_before)
    objections = []
    for name, objection, threshold in CRITERIA:
        if message := objection(candidate, comparison, rules):
            flag = f"--{threshold.replace('_', '-')}"
            objections.append(f"{name}: {message} ({flag} {getattr(rules, threshold):g})")
    if champion is not None and champion.right is None:
        objections.append(f"version {champion.version} can't be compared with ({champion.fault}); --force promotes")
    is_forced = bool(objections) and forced is not None
    reason = f"forced: {forced}" if is_forced else "; ".join(objections) or _merits(candidate, champion, comparison)
    return Decision(
        promoted=not objections or is_forced,
        reason=reason,
        champion=None if champion is None else champion.version,
        rows=len(labels),
        accuracy=candidate.accuracy,
        refused_before=refused_before,
        forced=is_forced,
        calibration_error=candidate.calibration_error,
        model_mib=candidate.model_mib,
        latency_ms=candidate.latency_ms,
        **(comparison._asdict() if comparison else {}),
    )


def _merits(candidate: Candidate, champion: Champion | None, comparison: Comparison | None) -> str:
    if champion is None or comparison is None:
        return f"the first champion, {candidate.accuracy:.2%} of {len(candidate.right):,} rows"
    return (
        f"it fixes {comparison.fixed:,} mistakes of version {champion.version} and makes {comparison.made:,} new ones: "
        f"better by {comparison.difference:+.2f} percentage points, at worst {comparison.lower:+.2f}"
    )


def _compare(
    candidate: NDArray[np.bool_],
    champion: NDArray[np.bool_],
    labels: NDArray[np.uint8],
    gate_alpha: float,
    refused_before: int,
) -> Comparison:
    fixed_rows, broken_rows = np.flatnonzero(candidate & ~champion), np.flatnonzero(champion & ~candidate)
    fixed, made, rows = len(fixed_rows), len(broken_rows), len(labels)
    alpha = gate_alpha * 6 / (math.pi * (refused_before + 1)) ** 2
    # Two-sided intervals: half of alpha at either end.
    least_fixed = binomtest(fixed, rows).proportion_ci(1 - alpha, method="exact").low
    most_made = binomtest(made, rows).proportion_ci(1 - alpha, method="exact").high
    by_class = (np.bincount(labels[some], minlength=len(CLASSES)).tolist() for some in (fixed_rows, broken_rows))
    classes = enumerate(zip(*by_class, strict=True))
    return Comparison(
        champion_accuracy=float(champion.mean()),
        fixed=fixed,
        made=made,
        difference=100 * (fixed - made) / rows,
        lower=100 * float(least_fixed - most_made),
        alpha=alpha,
        p_better=_p_value(fixed, made),
        p_worse=_p_value(made, fixed),
        classes=tuple(ClassTest(label, fixed, made, _p_value(made, fixed)) for label, (fixed, made) in classes),
        fixed_rows=tuple(fixed_rows[:MAX_SHOWN_ROWS].tolist()),
        broken_rows=tuple(broken_rows[:MAX_SHOWN_ROWS].tolist()),
    )


def _p_value(more: int, less: int) -> float:
    """Return the one-sided p-value of McNemar's exact test: `more` or above, if both kinds were equally likely."""
    return float(binomtest(more, more + less, 0.5, "greater").pvalue) if more + less else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple testing (Holm 1979)."""
    order = np.argsort(p_values)
    steps = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected.tolist()
