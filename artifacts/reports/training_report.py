"""The training report in markdown: for the Prefect UI with its pictures embedded, for the store with links to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifacts.reports import markdown, validation_report
from artifacts.reports.markdown import table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from schemas.gate import Decision
    from schemas.results import Evaluation, Run

ORIGINAL_ACCURACY = 0.9756
"""What the plain Keras script reached that this project grew from."""


def training_report(run: Run, version: int, address: Callable[[str], str]) -> str:
    """Write the report of a run; `address` turns a picture's name into what the markdown refers to."""
    sections = (
        _headline(run, version),
        _decision(run.decision, address),
        markdown.confusion_matrix(run.evaluation.confusion_matrix, address),
        _classes(run.evaluation),
        f"## Learning curve\n\n![Learning curve]({address('learning_curve')})",
        _mistakes(run.evaluation, address),
        _data(run, address),
        _recipe(run),
        _seconds(run.seconds),
        _libraries(run.environment["libraries"]),
    )
    return "\n\n".join(sections) + "\n"


def class_table(metrics: Mapping[str, Any]) -> list[dict[str, str | int]]:
    """Give the per-class figures of `metrics.json` as the rows of a table artifact."""
    return [
        {
            "digit": figures["label"],
            "precision": f"{figures['precision']:.2%}",
            "recall": f"{figures['recall']:.2%}",
            "F1": f"{figures['f1']:.2%}",
            "images": figures["support"],
        }
        for figures in metrics["classes"]
    ]


def _headline(run: Run, version: int) -> str:
    evaluation = run.evaluation
    low, high = evaluation.interval
    points = 100 * (evaluation.accuracy - ORIGINAL_ACCURACY)
    return (
        f"# Version {version}: {evaluation.accuracy:.2%} of {evaluation.n_rows:,} test digits\n\n"
        f"**Accuracy {evaluation.accuracy:.2%}**, 95 % interval {low:.2%} to {high:.2%} (Wilson), "
        f"{evaluation.errors:,} mistakes. The original project reached {ORIGINAL_ACCURACY:.2%}: "
        f"this is {abs(points):.2f} points {'better' if points >= 0 else 'worse'}.\n\n"
        f"Log loss {evaluation.log_loss:.4f}, expected calibration error {evaluation.calibration_error:.4f}."
    )


def _decision(decision: Decision, address: Callable[[str], str]) -> str:
    verdict = "Promoted to champion" if decision.promoted else "Not promoted"
    parts = [f"## Decision\n\n**{verdict}**: {decision.reason}."]
    if decision.fixed is not None and decision.made is not None:
        pairs = {
            "accuracy": f"{decision.accuracy:.2%}",
            f"accuracy of version {decision.champion}, the champion": f"{decision.champion_accuracy:.2%}",
            "mistakes fixed": f"{decision.fixed:,}",
            "newly made": f"{decision.made:,}",
            "difference, points": f"{decision.difference:+.2f}",
            f"at worst, at a level of {1 - (decision.alpha or 0):.2%}": f"{decision.lower:+.2f}",
            "McNemar's exact test: better, p": f"{decision.p_better:.3g}",
            "worse, p": f"{decision.p_worse:.3g}",
            "candidates refused since the champion came": decision.refused_before,
            "calibration error": f"{decision.calibration_error:.4f}",
            "weights, MiB": f"{decision.model_mib:.2f}",
            "one image, ms": f"{decision.latency_ms:.2f}",
        }
        parts.append(table(["what was compared", ""], pairs.items()))
        if decision.fixed + decision.made:
            parts.append(f"![Mistakes fixed and newly made]({address('changes')})")
    return "\n\n".join(parts)


def _classes(evaluation: Evaluation) -> str:
    rows = (
        [f"**{f.label}**", f"{f.precision:.2%}", f"{f.recall:.2%}", f"{f.f1:.2%}", f"{f.support:,}"]
        for f in evaluation.classes
    )
    return f"## Each digit\n\n{table(['digit', 'precision', 'recall', 'F1', 'images'], rows)}"


def _mistakes(evaluation: Evaluation, address: Callable[[str], str]) -> str:
    if not evaluation.mistakes:
        return "## Mistakes\n\nNone."
    return (
        f"## Mistakes\n\nThe {len(evaluation.mistakes)} most confident of {evaluation.errors:,}.\n\n"
        f"![Most confident mistakes]({address('mistakes')})"
    )


def _data(run: Run, address: Callable[[str], str]) -> str:
    rows = (
        ["name", run.validation.name],
        ["trained on", f"{run.training_rows:,}"],
        ["held out of training", f"{run.validation_rows:,}"],
        ["tested on", f"{run.evaluation.n_rows:,}"],
        ["fingerprint", f"`{run.dataset_fingerprint[:16]}`"],
    )
    found = validation_report.body(run.validation, address, None)
    return "\n\n".join(["## Data", table(["field", "value"], rows), *found])


def _recipe(run: Run) -> str:
    rows = [[name.replace("_", " "), value] for name, value in run.recipe.model_dump(mode="json").items()]
    return (
        f"## Recipe\n\n{table(['field', 'value'], rows)}\n\n"
        f"Fingerprint of data, recipe, code and libraries: `{run.fingerprint[:16]}`; "
        f"of the weights: `{run.weights_digest[:16]}`."
    )


def _seconds(seconds: Mapping[str, float]) -> str:
    total = sum(seconds.values())
    rows = [[stage, f"{spent:.2f}", f"{spent / total:.0%}"] for stage, spent in seconds.items()]
    return (
        f"## Time\n\n{table(['stage', 'seconds', 'share'], [*rows, ['all so far', f'{total:.2f}', '100%']])}\n\n"
        f"Orchestration was {seconds.get('orchestration', 0.0) / total:.1%} of it, "
        f"the start-up (imports, a temporary Prefect server) {seconds.get('start-up', 0.0) / total:.0%}. "
        "Publishing comes after this was written."
    )


def _libraries(libraries: Mapping[str, str]) -> str:
    return f"## Libraries\n\n{table(['library', 'version'], libraries.items())}"
