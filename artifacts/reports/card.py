"""The model card: a version's purpose, data, recipe and metrics, as `card.json` and `card.md`."""

from __future__ import annotations

import dataclasses
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from artifacts.processor import processor_name
from artifacts.reports import markdown
from artifacts.reports.markdown import code, inert, table
from artifacts.store import version_files
from schemas.abstention import level_text
from schemas.counts import count
from schemas.results import Evaluation, TrainingResult, interval_text, rows_text
from schemas.review import summarize
from schemas.run import Run

ROOT = Path(__file__).parents[2]
LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "pandera", "scikit-learn", "prefect", "seaborn", "matplotlib")
INTENDED_USE = (
    "single handwritten digits, 0 to 9, upright, in MNIST's format: 28 × 28 pixels, bright ink on a dark background"
)
OUT_OF_SCOPE = (
    "letters, several digits at once, rotated or mirrored digits, decisions about people without a human check: it "
    "predicts one of ten classes for any image"
)


def environment(trained: TrainingResult) -> dict[str, Any]:
    """Return where a network was trained: Python, libraries, machine, and the code's Git revision if there is one."""
    return {
        "python": platform.python_version(),
        "libraries": {name: installed(name) for name in LIBRARIES},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "revision": _revision(),
        "workers": trained.workers,
        "precision": trained.precision,
    }


def card(run: Run, number: int, name: str) -> dict[str, Any]:
    """Return a version's card without `files`: the checksums are added when all files are written."""
    trained, evaluation, validation = run.training_result, run.evaluation, run.dataset.validation
    rows = {"training": trained.training_rows, "held out": trained.validation_rows, "test": evaluation.n_rows}
    return {
        "version": number,
        "made": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "run": name,
        "parent": run.decision.champion,
        "purpose": {"for": INTENDED_USE, "not for": OUT_OF_SCOPE},
        "data": {
            "name": validation.name,
            "source": validation.source,
            "test_source": validation.test_source,
            "added": list(validation.added),
            "corrections": summarize(validation.corrections),
            "rules": validation.rules,
            "rows": rows,
            "folds": evaluation.n_folds,
            "fingerprint": run.dataset.fingerprint,
            "profile": version_files.PROFILE,
        },
        "recipe": trained.recipe.model_dump(mode="json"),
        "recipe_name": run.recipe_name,
        "figures": metrics(evaluation),
        "abstention": dataclasses.asdict(evaluation.abstention),
        "decision": run.decision.to_dict(),
        "environment": run.environment,
        "fingerprint": trained.fingerprint,
        "weights_digest": trained.digest,
    }


def metrics(evaluation: Evaluation) -> dict[str, Any]:
    """Return the metrics for the card, which `verify` recomputes."""
    return evaluation.to_dict() | {"recall": {str(one.label): one.recall for one in evaluation.classes}}


def card_markdown(card: dict[str, Any]) -> str:
    """Format a card as markdown."""
    purpose, data, rows = card["purpose"], card["data"], card["data"]["rows"]
    outcome = "Promoted" if card["decision"]["promoted"] else "Not promoted"
    parts = [
        f"# Model card: version {card['version']}",
        f"The network `{card['recipe']['network']}` recognises handwritten digits. It was trained on {card['made']} by "
        f"the flow run {code(card['run'])}. {outcome}: {inert(card['decision']['reason'])}.",
        f"## Intended use\n\nFor {purpose['for']}.\n\nNot for {purpose['not for']}.",
        f"## Metrics\n\n{_metrics_text(card)}",
        f"## Data\n\n{inert(data['name'])}: {rows['training']:,} training rows, {rows['held out']:,} held out, "
        f"fingerprint `{data['fingerprint'][:16]}`. `{data['profile']}` holds their statistics, `validation.json` the "
        "results of validation.",
        f"## Training\n\n{markdown.recipe(card['recipe_name'], card['recipe'])}",
        f"## Environment\n\n{_environment_table(card['environment'])}",
        f"Parent: {'none' if card['parent'] is None else card['parent']}. Fingerprint of data, recipe, code and "
        f"libraries: `{card['fingerprint'][:16]}`; of the weights: `{card['weights_digest'][:16]}`.",
    ]
    return "\n\n".join(parts) + "\n"


def _metrics_text(card: dict[str, Any]) -> str:
    metrics, data = card["figures"], card["data"]
    rows = rows_text(data["rows"]["test"], data.get("folds", 0))
    recall = [["recall", *(f"{recall:.2%}" for recall in metrics["recall"].values())]]
    return (
        f"{metrics['accuracy']:.2%} of {rows} (95 % interval {interval_text(metrics['interval'])}), "
        f"{count(metrics['errors'], 'mistake')}; log loss {metrics['log_loss']:.4f}, calibration error "
        f"{metrics['calibration_error']:.4f}.\n\n"
        f"{table(['digit', *metrics['recall']], recall)}\n\n{_abstention_text(card['abstention'])}"
    )


def _abstention_text(abstention: dict[str, Any]) -> str:
    threshold, level, accuracy = (abstention.get(name) for name in ("threshold", "level", "accuracy"))
    if threshold is None:
        return (
            "It abstains always: its held-out rows are too few, or its mistakes too many, to prove 90 % accuracy above "
            "any confidence. A person should check all predictions. `--validation-fraction` holds out more rows."
        )
    proof = f": {level_text(level)}" if level else ""
    text = f"It abstains below a confidence of {threshold:.4f}, chosen on held-out rows{proof}."
    if accuracy is None:
        return f"{text} It abstains from all test rows."
    return f"{text} It answers {abstention['coverage']:.2%} of the test rows, {accuracy:.3%} of them rightly."


def _environment_table(environment: dict[str, Any]) -> str:
    rows = [
        ["Python", environment["python"]],
        ["system", environment["system"]],
        ["processor", f"{environment['processor']}, {environment['cores']} cores"],
        ["workers that share each batch", environment["workers"]],
        ["precision of the hidden layers in training", environment.get("precision", "float32")],
        ["code", environment["revision"] or "unknown"],
        *environment["libraries"].items(),
    ]
    return table(["component", "version"], rows)


def _revision() -> str | None:
    """Return the commit, marked if files differ from it; None outside a Git checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL, timeout=10).decode().strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
