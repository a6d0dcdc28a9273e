"""Write the files of a version: report, card, metrics, plots and reference profile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artifacts.files import checksums
from artifacts.reports import markdown, training_report
from artifacts.reports.card import card, card_markdown, environment
from artifacts.store import reference_profile, review, training_rows
from schemas.gate import Decision
from schemas.results import Dataset, Evaluation, TrainingResult
from schemas.run import Resources, Run


def describe(  # noqa: PLR0913, the inputs of a report
    recipe: str,
    dataset: Dataset,
    trained: TrainingResult,
    evaluation: Evaluation,
    decision: Decision,
    seconds: Mapping[str, float],
    resources: Resources,
) -> Run:
    """Collect the contents of the report and the card."""
    return Run(
        validation=dataset.validation,
        decision=decision,
        dataset_fingerprint=dataset.fingerprint,
        training_rows=trained.training_rows,
        validation_rows=trained.validation_rows,
        recipe=trained.recipe,
        recipe_name=Path(recipe).name,
        fingerprint=trained.fingerprint,
        weights_digest=trained.digest,
        history=trained.history,
        evaluation=evaluation,
        seconds=dict(seconds),
        resources=resources,
        environment=environment() | {"workers": trained.workers, "precision": trained.precision},
    )


def write(  # noqa: PLR0913, the contents of a version
    folder: Path, number: int, name: str, run: Run, dataset: Dataset, pictures: Mapping[str, bytes]
) -> dict[str, Any]:
    """Write a version's files beside its model; return its card, with the SHA-256 of all of them."""
    reference_profile.write(folder / reference_profile.NAME, dataset.profile)
    training_rows.write(folder, dataset.train_digests)
    review.write_corrections(folder, dataset.validation.corrections)
    (folder / "metrics.json").write_text(json.dumps(run.metrics(), indent=2) + "\n", "utf-8")
    (folder / "validation.json").write_text(json.dumps(run.validation.to_dict(), indent=2) + "\n", "utf-8")
    (folder / "report.md").write_text(training_report.training_report(run, number, markdown.as_links), "utf-8")
    for title, picture in pictures.items():
        (folder / f"{title}.png").write_bytes(picture)
    contents = card(run, number, name)
    (folder / "card.md").write_text(card_markdown(contents), "utf-8")
    return contents | {"files": checksums(folder)}
