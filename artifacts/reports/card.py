"""The model card, what a version is, is for, rests on and reaches: `card.json` for programs, `card.md` for people."""

from __future__ import annotations

import dataclasses
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts.reports.markdown import table
from artifacts.store import reference_profile

if TYPE_CHECKING:
    from schemas.results import Evaluation, Run

ROOT = Path(__file__).parents[2]
LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "pandera", "scikit-learn", "prefect", "seaborn", "matplotlib")
FOR = "single handwritten digits, 0 to 9, upright, brought to MNIST's form: 28 × 28 pixels, ink bright on a dark ground"
NOT_FOR = (
    "letters, several digits at once, turned or mirrored digits, decisions about people that nobody looks at again: it "
    "answers one of ten classes whatever it is shown"
)


def environment() -> dict[str, Any]:
    """Tell where this runs: Python, libraries, processor, and the revision of the code where Git knows one."""
    return {
        "python": platform.python_version(),
        "libraries": {name: installed(name) for name in LIBRARIES},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "revision": _revision(),
    }


def card(run: Run, number: int, name: str) -> dict[str, Any]:
    """Give the card of a version; the sums of its files are added when they are all there."""
    evaluation = run.evaluation
    return {
        "version": number,
        "made": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "run": name,
        "parent": run.decision.champion,
        "purpose": {"for": FOR, "not for": NOT_FOR},
        "data": {
            "name": run.validation.name,
            "source": run.validation.source,
            "test_source": run.validation.test_source,
            "added": list(run.validation.added),
            "rules": run.validation.rules,
            "rows": {"training": run.training_rows, "held out": run.validation_rows, "test": evaluation.n_rows},
            "fingerprint": run.dataset_fingerprint,
            "profile": reference_profile.NAME,
        },
        "recipe": run.recipe.model_dump(mode="json"),
        "figures": figures(evaluation),
        "abstention": dataclasses.asdict(evaluation.abstention),
        "decision": run.decision.to_dict(),
        "environment": run.environment,
        "fingerprint": run.fingerprint,
        "weights_digest": run.weights_digest,
    }


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """Give the figures that a card states, and that it can be held to."""
    recall = {str(of_class.label): of_class.recall for of_class in evaluation.classes}
    return evaluation.to_dict() | {"recall": recall}


def card_markdown(card: dict[str, Any]) -> str:
    """Write a card for people."""
    reached, data, abstention = card["figures"], card["data"], card["abstention"]
    low, high = reached["interval"]
    verdict = "Promoted" if card["decision"]["promoted"] else "Not promoted"
    least = abstention["threshold"]
    caution = (
        "There is no confidence from which on 99.9 % of the held-out answers are right: it shouldn't answer by itself."
        if least is None or abstention["accuracy"] is None
        else f"From a confidence of {least:.4f} on, set on the held-out rows so that 99.9 % of the answers are right, "
        f"it answers {abstention['coverage']:.2%} of the test rows, {abstention['accuracy']:.3%} of them rightly."
    )
    parts = [
        f"# Model card: version {card['version']}",
        f"The network `{card['recipe']['network']}`, which recognises handwritten digits, made {card['made']} by "
        f"the flow run *{card['run']}*. {verdict}: {card['decision']['reason']}.",
        f"## What it is for\n\nFor {card['purpose']['for']}.\n\nNot for {card['purpose']['not for']}.",
        "## How good it is\n\n"
        f"{reached['accuracy']:.2%} of {data['rows']['test']:,} test rows (95 % interval {low:.2%} to {high:.2%}), "
        f"{reached['errors']:,} mistakes; log loss {reached['log_loss']:.4f}, calibration error "
        f"{reached['calibration_error']:.4f}.\n\n"
        + table(
            ["digit", *reached["recall"]], [["recall", *(f"{recall:.2%}" for recall in reached["recall"].values())]]
        )
        + f"\n\n{caution}",
        "## What it was made of\n\n"
        f"{data['name']}: {data['rows']['training']:,} rows to train on, {data['rows']['held out']:,} held out, "
        f"fingerprint `{data['fingerprint'][:16]}`. What they look like is in `{data['profile']}`, what validation "
        "found in `validation.json`.",
        "## How it was made\n\n"
        + table(["field", "value"], [[n.replace("_", " "), v] for n, v in card["recipe"].items()]),
        "## Where it was made\n\n"
        + table(
            ["what", "which"],
            [
                ["Python", card["environment"]["python"]],
                ["system", card["environment"]["system"]],
                ["processor", f"{card['environment']['processor']}, {card['environment']['cores']} cores"],
                ["workers that shared each batch", card["environment"]["workers"]],
                ["code", card["environment"]["revision"] or "unknown"],
                *card["environment"]["libraries"].items(),
            ],
        ),
        f"Parent: {'none' if card['parent'] is None else card['parent']}. Fingerprint of data, recipe, code and "
        f"libraries: `{card['fingerprint'][:16]}`; of the weights: `{card['weights_digest'][:16]}`.",
    ]
    return "\n\n".join(parts) + "\n"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].split(":", 1)[1].strip() if names else platform.processor()


def _revision() -> str | None:
    """Give the commit, with a mark when files differ from it; None outside a Git checkout."""
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607, whichever Git there is
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip()
