"""Decide whether a candidate may replace the champion, from what both said of the same rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.stats import binomtest

from schemas.digits import CLASSES, SIDE
from schemas.gate import ChangedPrediction, ClassTest, Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from schemas.gate import GateRules
    from schemas.images import Images


SHOWN = 16


class Candidate(NamedTuple):
    """What is known of a candidate beside the champion: which rows it has right, and what it costs."""

    right: NDArray[np.bool_]
    calibration_error: float
    model_mib: float
    latency_ms: float


class Champion(NamedTuple):
    """The version in use: which of the same rows it has right, None where it can't be asked, and why not."""

    version: int
    right: NDArray[np.bool_] | None
    fault: str = ""


def decide(  # noqa: PLR0913, what a decision rests on
    candidate: Candidate,
    champion: Champion | None,
    labels: NDArray[np.uint8],
    rules: GateRules,
    *,
    refused_before: int = 0,
    forced: str | None = None,
) -> Decision:
    """Promote a candidate that is good enough, and better or not worse; every figure of why is in the decision.

    Better is what McNemar's exact test calls so, on the rows where just one of the two is right. Not worse is a
    difference whose lower bound is above the margin: exact bounds (Clopper and Pearson 1934) of how often mistakes are
    fixed and newly made, each at half the chance of error. Whoever retrains often enough is lucky once, so that chance
    is spent over the candidates of one champion: the k-th has 6 / (π k)² of it, which adds up to the whole however many
    there are.
    """
    rows = len(labels)
    accuracy = float(candidate.right.mean())
    compared: dict[str, Any] = {}
    objections = _too_little(accuracy, rules)
    if champion is None:
        praise = f"the first champion, {accuracy:.2%} of {rows:,} rows"
    elif champion.right is None:
        objections.append(f"version {champion.version} can't be compared with ({champion.fault}): --force decides")
        praise = ""
    else:
        compared, worse = _compared(candidate.right, champion.right, labels, rules, refused_before)
        objections += _too_costly(candidate, rules) + worse
        praise = _praise(champion.version, compared)
    promoted = not objections or forced is not None
    reason = f"forced: {forced}" if objections and forced is not None else "; ".join(objections) or praise
    return Decision(
        promoted=promoted,
        reason=reason,
        champion=None if champion is None else champion.version,
        rows=rows,
        accuracy=accuracy,
        refused_before=refused_before,
        forced=bool(objections) and forced is not None,
        calibration_error=candidate.calibration_error,
        model_mib=candidate.model_mib,
        latency_ms=candidate.latency_ms,
        **compared,
    )


def changes(ours: NDArray[np.bool_], theirs: NDArray[np.bool_], images: Images) -> tuple[ChangedPrediction, ...]:
    """Give the first images that the candidate fixes, and the first that it newly gets wrong."""
    sides = ((True, np.flatnonzero(ours & ~theirs)), (False, np.flatnonzero(theirs & ~ours)))
    return tuple(
        ChangedPrediction(fixed, int(images.labels[row]), picture.reshape(SIDE, SIDE))
        for fixed, found in sides
        for row, picture in zip(found[:SHOWN], images.read(found[:SHOWN]), strict=True)
    )


def _too_little(accuracy: float, rules: GateRules) -> list[str]:
    if accuracy >= rules.min_accuracy:
        return []
    return [f"its accuracy of {accuracy:.2%} is below --min-accuracy, {rules.min_accuracy:.2%}"]


def _too_costly(candidate: Candidate, rules: GateRules) -> list[str]:
    bounds = (
        ("calibration error", candidate.calibration_error, rules.max_calibration_error, "--max-calibration-error"),
        ("MiB", candidate.model_mib, rules.max_model_mib, "--max-model-mib"),
        ("ms an image", candidate.latency_ms, rules.max_latency_ms, "--max-latency-ms"),
    )
    return [f"{value:.3g} {what} is more than {flag}, {most:g}" for what, value, most, flag in bounds if value > most]


def _compared(
    ours: NDArray[np.bool_], theirs: NDArray[np.bool_], labels: NDArray[np.uint8], rules: GateRules, refused_before: int
) -> tuple[dict[str, Any], list[str]]:
    """Give the figures of the comparison, and what speaks against the candidate."""
    rows, fixed, made = len(labels), int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    alpha = rules.gate_alpha * 6 / (math.pi * (refused_before + 1)) ** 2
    lower = 100 * _lower_difference(fixed, made, rows, alpha)
    classes = [_class_test(label, ours[labels == label], theirs[labels == label]) for label in CLASSES]
    figures: dict[str, Any] = {
        "champion_accuracy": float(theirs.mean()),
        "fixed": fixed,
        "made": made,
        "difference": 100 * (fixed - made) / rows,
        "lower": lower,
        "alpha": alpha,
        "p_better": _p_value(fixed, made),
        "p_worse": _p_value(made, fixed),
        "classes": tuple(classes),
    }
    worse = []
    if lower < -rules.gate_margin and figures["p_better"] >= alpha:
        worse.append(
            f"it fixes {fixed:,} mistakes and makes {made:,} new ones: it may be {-lower:.2f} points worse, "
            f"more than --gate-margin, {rules.gate_margin:g}"
        )
    fallen = [
        test.label for test, p in zip(classes, holm([c.p_value for c in classes]), strict=True) if p < rules.gate_alpha
    ]
    if fallen:
        worse.append(f"it recognises {', '.join(map(str, fallen))} significantly less often")
    return figures, worse


def _lower_difference(fixed: int, made: int, rows: int, alpha: float) -> float:
    """Give a bound that the paired difference is below with a chance of at most alpha, whatever its true value."""
    level = 1 - alpha  # two-sided: half of alpha at either end
    least_fixed = binomtest(fixed, rows).proportion_ci(level, method="exact").low
    most_made = binomtest(made, rows).proportion_ci(level, method="exact").high
    return float(least_fixed - most_made)


def _p_value(more: int, less: int) -> float:
    """Give the chance of so many more, or more still, if both were equally likely: McNemar's exact test, one-sided."""
    return float(binomtest(more, more + less, 0.5, "greater").pvalue) if more + less else 1.0


def _class_test(label: int, ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> ClassTest:
    fixed, made = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return ClassTest(label, fixed, made, _p_value(made, fixed))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979): each is how probable it is that none so small comes up by luck."""
    order = np.argsort(p_values)
    steps = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected.tolist()


def _praise(version: int, compared: dict[str, Any]) -> str:
    return (
        f"it fixes {compared['fixed']:,} mistakes of version {version} and makes {compared['made']:,} new ones: "
        f"better by {compared['difference']:+.2f} points, at worst {compared['lower']:+.2f}"
    )
