"""What a version holds: everything that is told of a run, and the files it is told in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from artifacts.files import sums
from artifacts.reports import markdown, training_report
from artifacts.reports.card import card, card_markdown, environment
from artifacts.store import reference_profile
from artifacts.store.store import CARD
from schemas.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from schemas.gate import Decision
    from schemas.profile import Profile
    from schemas.results import Dataset, Evaluation, TrainingResult


def describe(
    dataset: Dataset, trained: TrainingResult, evaluation: Evaluation, decision: Decision, seconds: Mapping[str, float]
) -> Run:
    """Gather everything that is told of a run."""
    return Run(
        validation=dataset.validation,
        decision=decision,
        dataset_fingerprint=dataset.fingerprint,
        training_rows=trained.training_rows,
        validation_rows=trained.validation_rows,
        recipe=trained.recipe,
        fingerprint=trained.fingerprint,
        weights_digest=trained.digest,
        history=trained.history,
        evaluation=evaluation,
        seconds=dict(seconds),
        environment=environment() | {"workers": trained.workers},
    )


def write(  # noqa: PLR0913, what a version holds
    folder: Path, number: int, name: str, run: Run, profile: Profile, pictures: Mapping[str, bytes]
) -> None:
    """Write all that a version tells into its folder, the model beside it; the card, with all sums, comes last."""
    reference_profile.write(folder / reference_profile.NAME, profile)
    (folder / "metrics.json").write_text(json.dumps(run.metrics(), indent=2) + "\n")
    (folder / "validation.json").write_text(json.dumps(run.validation.to_dict(), indent=2) + "\n")
    (folder / "report.md").write_text(training_report.training_report(run, number, markdown.linked))
    for title, picture in pictures.items():
        (folder / f"{title}.png").write_bytes(picture)
    told = card(run, number, name)
    (folder / "card.md").write_text(card_markdown(told))
    (folder / CARD).write_text(json.dumps(told | {"files": sums(folder)}, indent=2) + "\n")
