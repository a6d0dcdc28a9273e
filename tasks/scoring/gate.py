"""Decide whether a candidate may replace the champion, from the predictions of both on the same test rows.

A new criterion is one function and one entry of `CRITERIA`; a new threshold is a field of `GateRules`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from schemas.digits import CLASSES
from schemas.gate import ClassTest, Decision, GateRules

MAX_SHOWN_ROWS = 16


class Candidate(NamedTuple):
    """A new network: whether it predicts each test row correctly, and its costs."""

    right: NDArray[np.bool_]
    calibration_error: float
    model_mib: float
    latency_ms: float


class Champion(NamedTuple):
    """The champion: whether it predicts each test row correctly; None, with a `fault`, if it can't be evaluated."""

    version: int
    right: NDArray[np.bool_] | None
    fault: str = ""


class Criterion(NamedTuple):
    """A condition of the gate.

    `failure` returns why a decision's metrics don't meet it, or None. The decision's reason then has the message after
    `name`, and the flag and value of `threshold`, a field of `GateRules`.
    """

    name: str
    failure: Callable[[Decision, GateRules], str | None]
    threshold: str
    applies_without_champion: bool = False


def _low_accuracy(decision: Decision, rules: GateRules) -> str | None:
    return f"{decision.accuracy:.2%} is too low" if decision.accuracy < rules.min_accuracy else None


def _high_calibration_error(decision: Decision, rules: GateRules) -> str | None:
    error = decision.calibration_error
    return f"{error:.3g} is too high" if error > rules.max_calibration_error else None


def _large_model(decision: Decision, rules: GateRules) -> str | None:
    size = decision.model_mib
    return f"{size:.3g} MiB is too large" if size > rules.max_model_mib else None


def _slow_model(decision: Decision, rules: GateRules) -> str | None:
    latency = decision.latency_ms
    return f"{latency:.3g} ms for one image is too long" if latency > rules.max_latency_ms else None


def _maybe_worse(decision: Decision, rules: GateRules) -> str | None:
    if decision.lower is None or decision.lower >= -rules.gate_margin or decision.is_significantly_better:
        return None
    return (
        f"it fixes {decision.fixed:,} mistakes and makes {decision.made:,} new ones, so it may be "
        f"{-decision.lower:.2f} percentage points worse"
    )


def _worse_classes(decision: Decision, rules: GateRules) -> str | None:
    p_values = holm([test.p_value for test in decision.classes])
    worse = [str(test.label) for test, p in zip(decision.classes, p_values, strict=True) if p < rules.gate_alpha]
    return f"significantly lower for {', '.join(worse)}" if worse else None


CRITERIA = (
    Criterion("accuracy", _low_accuracy, "min_accuracy", applies_without_champion=True),
    Criterion("calibration error", _high_calibration_error, "max_calibration_error"),
    Criterion("model size", _large_model, "max_model_mib"),
    Criterion("latency", _slow_model, "max_latency_ms"),
    Criterion("comparison with the champion", _maybe_worse, "gate_margin"),
    Criterion("recall", _worse_classes, "gate_alpha"),
)


def decide(  # noqa: PLR0913, the inputs of a decision
    candidate: Candidate,
    champion: Champion | None,
    labels: NDArray[np.uint8],
    rules: GateRules,
    *,
    refused_before: int = 0,
    forced: str | None = None,
) -> Decision:
    """Promote a candidate that meets all criteria, among them: it is better than the champion, or not worse.

    Better: McNemar's exact test is significant on the rows where just one of the two is right. Not worse: the lower
    bound of the difference is above the margin. The bound combines exact bounds (Clopper and Pearson 1934) of the rates
    of fixed and of new mistakes. Many retrainings would eventually promote a worse candidate by luck. So alpha is
    divided among the candidates that are compared with one champion: the k-th gets 6 / (π k)² of it; these sum to 1.
    """
    comparison = {}
    if champion is not None and champion.right is not None:
        alpha = rules.gate_alpha * 6 / (math.pi * (refused_before + 1)) ** 2
        comparison = _compare(candidate.right, champion.right, labels, alpha)
    decision = Decision(
        promoted=False,
        reason="",
        champion=None if champion is None else champion.version,
        rows=len(labels),
        accuracy=float(candidate.right.mean()),
        calibration_error=candidate.calibration_error,
        model_mib=candidate.model_mib,
        latency_ms=candidate.latency_ms,
        refused_before=refused_before,
        **comparison,
    )
    failures = []
    for name, failure, threshold, applies_without_champion in CRITERIA:
        if (comparison or applies_without_champion) and (message := failure(decision, rules)):
            flag = f"--{threshold.replace('_', '-')}"
            failures.append(f"{name}: {message} ({flag} {getattr(rules, threshold):g})")
    if champion is not None and champion.right is None:
        failures.append(
            f"the champion, version {champion.version}, can't be compared with ({champion.fault}); "
            "use --force REASON to promote anyway"
        )
    if failures and forced is not None:
        return dataclasses.replace(decision, promoted=True, forced=True, reason=f"forced: {forced}")
    return dataclasses.replace(
        decision, promoted=not failures, reason="; ".join(failures) or _promotion_reason(decision)
    )


def _promotion_reason(decision: Decision) -> str:
    if decision.champion is None:
        return f"the first champion, {decision.accuracy:.2%} of {decision.rows:,} rows"
    return (
        f"it fixes {decision.fixed:,} mistakes of version {decision.champion} and makes {decision.made:,} new ones: "
        f"better by {decision.difference:+.2f} percentage points, at worst {decision.lower:+.2f}"
    )


def _compare(
    candidate: NDArray[np.bool_], champion: NDArray[np.bool_], labels: NDArray[np.uint8], alpha: float
) -> dict[str, Any]:
    """Return the fields of `Decision` that compare candidate and champion, by whether each row is right."""
    fixed_rows, broken_rows = np.flatnonzero(candidate & ~champion), np.flatnonzero(champion & ~candidate)
    fixed, made, rows = len(fixed_rows), len(broken_rows), len(labels)
    # Two-sided intervals: half of alpha at either end.
    least_fixed = binomtest(fixed, rows).proportion_ci(1 - alpha, method="exact").low
    most_made = binomtest(made, rows).proportion_ci(1 - alpha, method="exact").high
    by_class = (np.bincount(labels[some], minlength=len(CLASSES)).tolist() for some in (fixed_rows, broken_rows))
    classes = enumerate(zip(*by_class, strict=True))
    return {
        "champion_accuracy": float(champion.mean()),
        "fixed": fixed,
        "made": made,
        "difference": 100 * (fixed - made) / rows,
        "lower": 100 * float(least_fixed - most_made),
        "alpha": alpha,
        "p_better": _p_value(fixed, made),
        "p_worse": _p_value(made, fixed),
        "classes": tuple(ClassTest(label, fixed, made, _p_value(made, fixed)) for label, (fixed, made) in classes),
        "fixed_rows": tuple(fixed_rows[:MAX_SHOWN_ROWS].tolist()),
        "broken_rows": tuple(broken_rows[:MAX_SHOWN_ROWS].tolist()),
    }


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
