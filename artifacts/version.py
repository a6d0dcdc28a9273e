"""What a version holds: everything that is told of a run, and the files it is told in."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING

from artifacts import markdown, reference, report
from schemas.results import Run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from schemas.profile import Profile
    from schemas.results import Dataset, Evaluation, Trained

LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "pandera", "scikit-learn", "prefect", "seaborn", "matplotlib")


def describe(dataset: Dataset, trained: Trained, evaluation: Evaluation, seconds: Mapping[str, float]) -> Run:
    """Gather everything that is told of a run."""
    return Run(
        validation=dataset.validation,
        dataset_fingerprint=dataset.fingerprint,
        training_rows=trained.training_rows,
        validation_rows=trained.validation_rows,
        recipe=trained.recipe,
        fingerprint=trained.fingerprint,
        weights_digest=trained.digest,
        history=trained.history,
        evaluation=evaluation,
        seconds=dict(seconds),
        libraries={name: version(name) for name in LIBRARIES},
    )


def write(folder: Path, number: int, run: Run, profile: Profile, pictures: Mapping[str, bytes]) -> None:
    """Write all that a version tells into its folder; the model goes beside it."""
    reference.write(folder / "reference.npz", profile)
    (folder / "metrics.json").write_text(json.dumps(run.metrics(), indent=2) + "\n")
    (folder / "validation.json").write_text(json.dumps(run.validation.figures(), indent=2) + "\n")
    (folder / "report.md").write_text(report.training_report(run, number, markdown.linked))
    for name, picture in pictures.items():
        (folder / f"{name}.png").write_bytes(picture)
