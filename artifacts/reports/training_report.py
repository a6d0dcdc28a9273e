"""The training report in markdown: with embedded plots for the Prefect UI, with links to them for the store.

To add a section with its plots, add an entry to `SECTIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from artifacts.reports import markdown, plots, validation_report
from artifacts.reports.markdown import Address, Section, bold, code, inert, table
from schemas.counts import count
from schemas.gate import Comparison, Decision
from schemas.results import Dataset, Evaluation, TrainingResult, interval_text
from schemas.run import WATTS_PER_CORE, Run

ORIGINAL_ACCURACY = 0.9756
"""Accuracy of the plain Keras script that this project grew from."""


class PlotInputs(NamedTuple):
    """The arguments of the plot functions of a section; `saliency` is that of the mistakes, n × 28 × 28."""

    training_result: TrainingResult
    evaluation: Evaluation
    decision: Decision
    dataset: Dataset
    saliency: NDArray[np.float32] | None = None


def training_report(run: Run, version: int, address: Address) -> str:
    """Format the report of a run; `address` returns the address of a plot by its name."""
    return f"{_headline(run.evaluation, version)}\n\n{markdown.render(SECTIONS, run, address)}\n"


def class_table(metrics: Mapping[str, Any]) -> list[dict[str, str | int]]:
    """Return the per-class metrics of `metrics.json` as the rows of a table artifact."""
    return [
        {
            "digit": by_class["label"],
            "precision": f"{by_class['precision']:.2%}",
            "recall": f"{by_class['recall']:.2%}",
            "F1": f"{by_class['f1']:.2%}",
            "images": by_class["support"],
        }
        for by_class in metrics["classes"]
    ]


def _headline(evaluation: Evaluation, version: int) -> str:
    points = 100 * (evaluation.accuracy - ORIGINAL_ACCURACY)
    folds = (
        f" These are results of {evaluation.n_folds}-fold cross-validation: the rows are too few for a test part, so "
        "each was predicted by a network that was trained on the other folds. The published network is trained on all."
    )
    return (
        f"# Version {version}: {evaluation.accuracy:.2%} of {evaluation.rows_text}\n\n"
        f"**Accuracy {evaluation.accuracy:.2%}**, 95 % interval {interval_text(evaluation.interval)} (Wilson), "
        f"{count(evaluation.errors, 'mistake')}. That is {abs(points):.2f} percentage points "
        f"{'better' if points >= 0 else 'worse'} than the original project, {ORIGINAL_ACCURACY:.2%}.\n\n"
        f"Log loss {evaluation.log_loss:.4f}, expected calibration error {evaluation.calibration_error:.4f}."
        f"{folds if evaluation.n_folds else ''}"
    )


def _decision(run: Run, address: Address) -> str:
    decision = run.decision
    parts = [f"**{'Promoted to champion' if decision.promoted else 'Not promoted'}**: {inert(decision.reason)}."]
    if comparison := decision.comparison:
        parts.append(_comparison(decision, comparison))
        if comparison.fixed + comparison.made:
            parts.append(f"![Mistakes fixed and newly made]({address('changes')})")
    return "\n\n".join(parts)


def _comparison(decision: Decision, comparison: Comparison) -> str:
    left_out = {"repeated": comparison.n_repeated, "trained on": comparison.n_trained_on}
    note = ", ".join(f"{n_rows:,} {why}" for why, n_rows in left_out.items() if n_rows)
    accuracy = comparison.champion_accuracy + comparison.difference / 100
    rows: list[list[object]] = [
        ["accuracy", f"{accuracy:.2%}", f"{comparison.champion_accuracy:.2%}"],
        ["right where the other is wrong", comparison.fixed, comparison.made],
    ]
    return (
        f"Compared on {count(comparison.n_rows, 'test row')}{f' (left out: {note})' if note else ''}. "
        f"Training rows that are new to the champion: {comparison.new_rows:,}.\n\n"
        f"{table(['', 'candidate', f'version {decision.champion}, the champion'], rows)}\n\n"
        f"{table(['evidence', ''], _evidence(decision, comparison).items())}"
    )


def _evidence(decision: Decision, comparison: Comparison) -> dict[str, object]:
    best = f" over version {comparison.best}" if comparison.best != decision.champion else ""
    return {
        "difference, percentage points": f"{comparison.difference:+.2f}",
        "the same with shifted images, the gain": f"{comparison.gain:+.2f}",
        "its p-value for better, which decides": f"{comparison.p_value:.3g}",
        "p-value that is needed": f"{comparison.p_threshold:.3g}",
        "refused candidates that it depends on": comparison.refused_before,
        f"lower bound of the gain{best}": f"{comparison.lower:+.2f}",
        "allowed loss": f"{comparison.margin:.2f}",
        "McNemar's exact test, without shifted images: p-value for better": f"{comparison.p_better:.3g}",
        "p-value for worse": f"{comparison.p_worse:.3g}",
        **{name: f"{value:.4g}" for name, value in decision.measurements.items() if name != "accuracy"},
    }


def _classes(run: Run, _address: Address) -> str:
    rows = (
        [bold(m.label), f"{m.precision:.2%}", f"{m.recall:.2%}", f"{m.f1:.2%}", m.support]
        for m in run.evaluation.classes
    )
    return table(["digit", "precision", "recall", "F1", "images"], rows)


def _slices(run: Run, _address: Address) -> str:
    comparison = run.decision.comparison
    tests = {(test.division, test.slice): test for test in comparison.slices} if comparison else {}
    rows = []
    for metrics in run.evaluation.slices:
        row = [f"{metrics.division}: {metrics.slice}", metrics.n_rows, f"{metrics.accuracy:.2%}"]
        row.append(interval_text(metrics.interval))
        if test := tests.get((metrics.division, metrics.slice)):
            row += [test.fixed, test.made, f"{test.p_value:.2g}"]
        elif tests:
            row += ["", "", "too few rows"]
        rows.append(row)
    header = ["slice", "rows", "accuracy", "95 % interval", *(["fixed", "newly made", "p for worse"] if tests else [])]
    note = " The p-values are corrected for the number of slices (Holm)." if tests else ""
    return (
        "Groups of the test rows. The quartiles of the training rows divide them by stroke thickness, slant, ink and "
        f"size.{note}\n\n{table(header, rows)}"
    )


def _robustness(run: Run, address: Address) -> str:
    corrupted, comparison = run.evaluation.robustness, run.decision.comparison
    if corrupted is None:
        return ""
    mean = sum(corrupted.accuracies.values()) / len(corrupted.names)
    parts = [
        f"{mean:.2%} of {len(corrupted.rows):,} test digits are recognised under a corruption, "
        f"on average over {len(corrupted.names)}"
    ]
    if comparison and comparison.corruptions:
        parts.append(f"{-comparison.robustness_loss:+.2f} percentage points against the champion")
    return f"{'; '.join(parts)}.\n\n![Accuracy by corruption]({address('robustness')})"


def _accuracies_by_network(decision: Decision, evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """Return the accuracies by corruption of the candidate and, if there is one, the champion, on the same rows."""
    comparison = decision.comparison
    if comparison and comparison.corruptions:
        return {
            "this version": {one.corruption: one.accuracy for one in comparison.corruptions},
            f"version {decision.champion}": {one.corruption: one.champion_accuracy for one in comparison.corruptions},
        }
    return {"this version": evaluation.robustness.accuracies} if evaluation.robustness else {}


def _mistakes(run: Run, address: Address) -> str:
    if not run.evaluation.mistakes:
        return "None."
    text = f"The {len(run.evaluation.mistakes)} most confident of {run.evaluation.errors:,}."
    return f"{text}\n\n![Most confident mistakes]({address('mistakes')})"


def _label_errors(run: Run, _address: Address) -> str:
    audited = run.evaluation.without_suspects
    if not audited:
        return ""
    rows = [
        [f"without {rest.n_left_out:,} {rest.left_out}", rest.n_rows, rest.errors, f"{rest.accuracy:.2%}"]
        for rest in audited
    ]
    evaluation = run.evaluation
    rows.insert(0, ["all", evaluation.n_rows, evaluation.errors, f"{evaluation.accuracy:.2%}"])
    return (
        "An audit of this data doubts the labels of some test rows. Digits that are hard to read are among them, so "
        "that the accuracy without them is too high.\n\n"
        f"{table(['test rows', 'rows', 'mistakes', 'accuracy'], rows)}"
    )


def _data(run: Run, address: Address) -> str:
    rows = (
        ["name", run.dataset.validation.name],
        ["training rows", run.training_result.training_rows],
        ["held-out rows", run.training_result.validation_rows],
        ["test rows", run.evaluation.n_rows],
        ["fingerprint", code(run.dataset.fingerprint[:16])],
    )
    validation = markdown.render(validation_report.SECTIONS, run.dataset.validation, address, None, level=3)
    return f"{table(['field', 'value'], rows)}\n\n{validation}"


def _recipe(run: Run, _address: Address) -> str:
    trained = run.training_result
    return (
        f"{markdown.recipe(run.recipe_name, trained.recipe.model_dump(mode='json'))}\n\n"
        f"Fingerprint of data, recipe, code and libraries: `{trained.fingerprint[:16]}`; "
        f"of the weights: `{trained.digest[:16]}`."
    )


def _time(run: Run, _address: Address) -> str:
    seconds = run.seconds
    total = sum(seconds.values())
    rows = [[task, f"{spent:.2f}", f"{spent / total:.0%}"] for task, spent in seconds.items()]
    return (
        f"{table(['task', 'seconds', 'share'], [*rows, ['total', f'{total:.2f}', '100%']])}\n\n"
        f"Orchestration took {seconds.get('orchestration', 0.0) / total:.1%} of it, "
        f"the start-up (imports, a temporary Prefect server) {seconds.get('start-up', 0.0) / total:.0%}. "
        "Publishing isn't included: it follows this report.\n\n"
        f"Processor time {run.resources.cpu_seconds:.0f} s, peak memory {run.resources.peak_memory_mib:,.0f} MiB, "
        f"child processes included; about {run.resources.watt_hours:.2f} Wh, if a busy core takes {WATTS_PER_CORE:g} W."
    )


SECTIONS = (
    Section(
        "Decision",
        _decision,
        {"changes": lambda i: plots.change_sheet(i.decision.comparison, i.dataset.test)},
    ),
    Section(
        "Confusion matrix",
        lambda run, address: markdown.confusion_matrix(run.evaluation.confusion_matrix, address),
        {"confusion_matrix": lambda i: plots.confusion_heatmap(i.evaluation.confusion_matrix, i.evaluation.accuracy)},
    ),
    Section("Each digit", _classes),
    Section("Slices", _slices),
    Section(
        "Robustness",
        _robustness,
        {"robustness": lambda i: plots.robustness_heatmap(_accuracies_by_network(i.decision, i.evaluation))},
    ),
    Section(
        "Learning curve",
        lambda _run, address: f"![Learning curve]({address('learning_curve')})",
        {
            "learning_curve": lambda i: plots.learning_curve(
                i.training_result.history, augmented=i.training_result.recipe.augments
            )
        },
    ),
    Section(
        "Mistakes",
        _mistakes,
        {"mistakes": lambda i: plots.mistake_sheet(i.evaluation.mistakes, i.dataset.test, i.saliency)},
    ),
    Section("Doubtful labels", _label_errors),
    Section("Data", _data),
    Section("Recipe", _recipe),
    Section("Time", _time),
    Section("Libraries", lambda run, _address: table(["library", "version"], run.environment["libraries"].items())),
)
"""`write` gets the run and `address`; the functions of the plots get `PlotInputs`, `i`."""
