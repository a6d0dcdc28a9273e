"""Decide whether a candidate may replace the champion, from the answers of both to the same test rows.

A new criterion is one entry of `CRITERIA`, with its function; a new threshold is a field of `GateRules`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.counts import count
from schemas.gate import Comparison, CorruptionComparison, Decision, GateRules, SliceTest
from schemas.images import Images
from schemas.results import Evaluation, TrainingResult
from schemas.slices import CorruptedAnswers, Division
from schemas.text import printable
from tasks.scoring import evidence, slices

MAX_SHOWN_ROWS = 16
MIN_SLICE_ROWS = 20
"""Compared rows that a slice needs to be tested: on fewer, no difference can be significant among all slices."""
MIN_NEW_SHARE = 0.01
"""Share of new training rows from which a candidate that is as good replaces the champion: not for a single row."""
MeasureFunction = Callable[[TrainingResult, Evaluation, Images], float]


class Candidate(NamedTuple):
    """A new network: whether each of its answers is right (rows × answers), and its measurements by name.

    A row's first answer is that to the image itself; of `n_rows` training rows, `new_rows` are unknown to the champion.
    """

    right: NDArray[np.bool_]
    measurements: dict[str, float]
    new_rows: int = 0
    n_rows: int = 0
    robustness: CorruptedAnswers | None = None

    @property
    def has_new_data(self) -> bool:
        return self.new_rows > 0 and self.new_rows >= MIN_NEW_SHARE * self.n_rows


class Champion(NamedTuple):
    """The champion, or the best one so far: its answers as a candidate's; None, with a `fault`, if it can't answer.

    `trained_on` marks the test rows that it was trained on.
    """

    version: int
    right: NDArray[np.bool_] | None
    trained_on: NDArray[np.bool_]
    fault: str = ""
    robustness: CorruptedAnswers | None = None


class ComparedRows(NamedTuple):
    """The digests of the test images, their divisions into slices, and why the labels can't be trusted, or ""."""

    digests: NDArray[np.uint64]
    divisions: tuple[Division, ...]
    fault: str = ""


class Criterion(NamedTuple):
    """A condition of the gate.

    `failure` returns why a decision doesn't meet it, or None. `threshold` is the field of `GateRules` that it depends
    on. `measure`, if any, makes the measurement of the same name, which is on the card and in the report.
    """

    name: str
    threshold: str
    failure: Callable[[Decision, GateRules], str | None]
    measure: MeasureFunction | None = None
    applies_without_champion: bool = False


def limit(name: str, threshold: str, message: str, measure: MeasureFunction) -> Criterion:
    """Return the criterion that a measurement is within a threshold, a field `min_…` or `max_…` of `GateRules`."""

    def failure(decision: Decision, rules: GateRules) -> str | None:
        value, bound = decision.measurements[name], getattr(rules, threshold)
        fails = value < bound if threshold.startswith("min_") else value > bound
        return f"{message.format(value)} ({_flag(threshold, rules)})" if fails else None

    return Criterion(name, threshold, failure, measure)


def _latency(trained: TrainingResult, _evaluation: Evaluation, images: Images) -> float:
    from tasks.inference import model

    return model.latency_ms(trained.network, images.read(slice(0, 1)))


def _not_better(decision: Decision, _rules: GateRules) -> str | None:
    comparison = decision.comparison
    if comparison is None or comparison.is_better or comparison.is_as_good:
        return None
    refused = f" after {count(comparison.refused_before, 'refused candidate')}" if comparison.refused_before else ""
    needed = f"p {comparison.p_value:.2g}, {comparison.p_threshold:.2g} was needed{refused}"
    if comparison.p_value <= comparison.p_threshold:
        needed = "it is better only on shifted images"
    elif comparison.margin:
        needed += f"; it may be {-comparison.lower:.2f} points worse, {comparison.margin:.2f} are allowed"
    margin = max(math.ceil(-100 * comparison.lower) / 100, 0.01)
    return f"{_changes(decision, comparison)}; {needed}; --gate-margin {margin:g} would have been enough this time"


def _worse_slices(decision: Decision, rules: GateRules) -> str | None:
    tests = decision.comparison.slices if decision.comparison else ()
    worse = [str(test) for test in tests if test.p_value < rules.gate_alpha]
    return f"significantly worse for {', '.join(worse)} ({_flag('gate_alpha', rules)})" if worse else None


def _less_robust(decision: Decision, rules: GateRules) -> str | None:
    loss = decision.comparison.robustness_loss if decision.comparison else 0.0
    if loss <= rules.max_robustness_loss:
        return None
    return f"{loss:.2f} points lower on corrupted images ({_flag('max_robustness_loss', rules)})"


CRITERIA = (
    limit(
        "accuracy",
        "min_accuracy",
        "{:.2%} is too low; with few rows or harder digits, lower the minimum",
        lambda _, evaluation, __: evaluation.accuracy,
    )._replace(applies_without_champion=True),
    limit("calibration error", "max_calibration_error", "{:.3g} is too high", lambda _, e, __: e.calibration_error),
    limit(
        "model size in MiB", "max_model_mib", "{:.3g} is too large", lambda t, *_: t.network.count_params() * 4 / 2**20
    ),
    limit("latency in ms", "max_latency_ms", "{:.3g} for one image is too long", _latency),
    Criterion("comparison with the champion", "gate_margin", _not_better),
    Criterion("accuracy in slices", "gate_alpha", _worse_slices),
    Criterion("robustness", "max_robustness_loss", _less_robust),
)


def measure(trained: TrainingResult, evaluation: Evaluation, images: Images) -> dict[str, float]:
    """Return the measurements of a candidate, by the names of their criteria."""
    return {one.name: one.measure(trained, evaluation, images) for one in CRITERIA if one.measure}


def decide(  # noqa: PLR0913, the inputs of a decision
    candidate: Candidate,
    champion: Champion | None,
    rows: ComparedRows,
    rules: GateRules,
    *,
    best: Champion | None = None,
    refused_before: int = 0,
    forced: str | None = None,
) -> Decision:
    """Promote a candidate that meets all criteria, among them: it is better than the champion, or as good.

    Better: an exact paired test is significant at the level `evidence.p_threshold`. As good: the lower bound of the
    difference from `best`, the best champion so far, is within the margin: that of the rules, or, for a candidate that
    has new training data, what the test rows can show. `best` is the champion by default.
    """
    comparison, fault = None, rows.fault
    if champion is not None:
        fault = fault or _fault(champion, best or champion, rules)
        if not fault:
            comparison = _compare(candidate, champion, best or champion, rows, rules, refused_before)
    decision = Decision(
        promoted=False,
        reason="",
        champion=None if champion is None else champion.version,
        rows=len(rows.digests),
        accuracy=float(candidate.right.reshape(len(rows.digests), -1)[:, 0].mean()),
        measurements=candidate.measurements,
        comparison=comparison,
        is_proven=champion is None or (comparison is not None and comparison.is_better),
        counts=comparison is not None and comparison.p_value <= evidence.MAX_COUNTED,
    )
    failures = [
        f"{criterion.name}: {message}"
        for criterion in CRITERIA
        if (comparison or criterion.applies_without_champion) and (message := criterion.failure(decision, rules))
    ]
    failures += [fault] if fault else []
    if failures and forced is not None:
        return dataclasses.replace(decision, promoted=True, forced=True, reason=f"forced: {printable(forced)}")
    return dataclasses.replace(
        decision, promoted=not failures, reason="; ".join(failures) or _promotion_reason(decision)
    )


def _promotion_reason(decision: Decision) -> str:
    comparison = decision.comparison
    if comparison is None:
        return f"the first champion, {decision.accuracy:.2%} of {decision.rows:,} rows"
    changes = _changes(decision, comparison)
    if comparison.is_better:
        return f"{changes}: better by {comparison.difference:+.2f} percentage points, p {comparison.p_value:.2g}"
    new = f", and was trained on {count(comparison.new_rows, 'new row')}" if comparison.new_rows else ""
    return f"{changes}: at most {comparison.margin:.2f} percentage points worse than version {comparison.best}{new}"


def _changes(decision: Decision, comparison: Comparison) -> str:
    fixed = count(comparison.fixed, "mistake")
    return f"it fixes {fixed} of version {decision.champion} and makes {count(comparison.made, 'new one')}"


def _fault(champion: Champion, best: Champion, rules: GateRules) -> str:
    """Return why a candidate can't be compared with the champions, or ""."""
    for one in (champion, best):
        if one.right is None:
            return _incomparable(one, one.fault, "the champion" if one is champion else "the best champion so far")
    share = float((champion.trained_on | best.trained_on).mean())
    if share > rules.max_test_overlap:
        others = "" if best is champion else f" or version {best.version}"
        limit = _flag("max_test_overlap", rules)
        fault = f"it{others} was trained on {share:.1%} of the test rows ({limit}); other data needs another --store"
        return _incomparable(champion, fault, "the champion")
    return ""


def _incomparable(champion: Champion, fault: str, role: str) -> str:
    return f"{role}, version {champion.version}, can't be compared with: {fault}"


def _compare(  # noqa: PLR0913, the inputs of a decision
    candidate: Candidate, champion: Champion, best: Champion, rows: ComparedRows, rules: GateRules, refused_before: int
) -> Comparison:
    """Compare the candidate with both champions on the distinct test rows that neither was trained on."""
    distinct = np.zeros(len(rows.digests), bool)
    distinct[np.unique(rows.digests, return_index=True)[1]] = True
    trained_on = champion.trained_on | best.trained_on
    compared = np.flatnonzero(distinct & ~trained_on)
    ours, theirs, bests = (_answers(one, compared) for one in (candidate, champion, best))
    n_answers = ours.shape[1]
    surplus = ours.sum(axis=1) - theirs.sum(axis=1)
    fixed_rows, broken_rows = compared[ours[:, 0] & ~theirs[:, 0]], compared[theirs[:, 0] & ~ours[:, 0]]
    fixed, made = len(fixed_rows), len(broken_rows)
    over_best = ours.mean(axis=1) - bests.mean(axis=1)
    p_threshold = evidence.p_threshold(rules.gate_alpha, refused_before)
    shown = 100 * evidence.shown_margin(over_best, p_threshold) if candidate.has_new_data else 0.0
    return Comparison(
        n_rows=len(compared),
        n_repeated=int((~distinct & ~trained_on).sum()),
        n_trained_on=int(trained_on.sum()),
        champion_accuracy=float(theirs[:, 0].mean()),
        fixed=fixed,
        made=made,
        difference=100 * (fixed - made) / len(compared),
        p_better=evidence.mcnemar_test(fixed, made),
        p_worse=evidence.mcnemar_test(made, fixed),
        gain=100 * float(surplus.mean()) / n_answers,
        p_value=evidence.sign_flip_test(surplus),
        p_threshold=p_threshold,
        refused_before=refused_before,
        best=best.version,
        lower=100 * evidence.lower_bound(over_best, p_threshold),
        margin=max(rules.gate_margin, shown),
        new_rows=candidate.new_rows,
        slices=_slice_tests(rows.divisions, compared, fixed_rows, broken_rows),
        corruptions=_compare_corrupted(candidate.robustness, champion.robustness, compared),
        fixed_rows=tuple(fixed_rows[:MAX_SHOWN_ROWS].tolist()),
        broken_rows=tuple(broken_rows[:MAX_SHOWN_ROWS].tolist()),
    )


def _answers(one: Candidate | Champion, compared: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return the answers to the compared rows, rows × answers."""
    assert one.right is not None  # noqa: S101, `_fault` has excluded it
    return one.right[compared].reshape(len(compared), -1)


def _slice_tests(
    divisions: tuple[Division, ...],
    compared: NDArray[np.intp],
    fixed_rows: NDArray[np.intp],
    broken_rows: NDArray[np.intp],
) -> tuple[SliceTest, ...]:
    """Test all slices that have enough rows."""
    tests = []
    for division in divisions:
        counts = (slices.count(division, rows) for rows in (compared, fixed_rows, broken_rows))
        for name, n_rows, fixed, made in zip(division.slices, *counts, strict=True):
            if n_rows >= MIN_SLICE_ROWS:
                tests.append(SliceTest(division.name, name, n_rows, fixed, made, evidence.mcnemar_test(made, fixed)))
    corrected = evidence.holm([test.p_value for test in tests])
    return tuple(dataclasses.replace(test, p_value=p_value) for test, p_value in zip(tests, corrected, strict=True))


def _compare_corrupted(
    ours: CorruptedAnswers | None, theirs: CorruptedAnswers | None, compared: NDArray[np.intp]
) -> tuple[CorruptionComparison, ...]:
    """Compare the accuracies on corrupted images of the compared rows, if there are any."""
    if ours is None or theirs is None:
        return ()
    selected = np.isin(ours.rows, compared)
    if not selected.any():
        return ()
    accuracies = (one.right[:, selected].mean(axis=1).tolist() for one in (ours, theirs))
    return tuple(CorruptionComparison(*each) for each in zip(ours.names, *accuracies, strict=True))


def _flag(threshold: str, rules: GateRules) -> str:
    return f"--{threshold.replace('_', '-')} {getattr(rules, threshold):g}"
