"""Publish: put the model and everything about it into the store, and the report into Prefect."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from artifacts import markdown, reference, report
from artifacts.store import Store
from schemas.results import Published, Run
from tasks.stage import stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from uuid import UUID

    from schemas.results import Dataset, Evaluation, Trained

REPORT_KEY = "training-report"
CLASSES_KEY = "training-classes"
LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "pandera", "scikit-learn", "prefect", "seaborn", "matplotlib")


@stage
def publish(  # noqa: PLR0913, what a report tells of
    store: Path,
    dataset: Dataset,
    trained: Trained,
    evaluation: Evaluation,
    pictures: Mapping[str, bytes],
    seconds: Mapping[str, float],
) -> Published:
    """Make a version of the run; then its report and its per-class table artifacts in Prefect."""
    run = describe(dataset, trained, evaluation, seconds)
    all_pictures = {**pictures, **dataset.pictures}
    versions = Store(store)
    with versions.new_version() as (number, folder):
        trained.network.save(folder / "model.keras")
        (folder / "metrics.json").write_text(json.dumps(run.metrics(), indent=2) + "\n")
        (folder / "validation.json").write_text(json.dumps(dataset.validation.figures(), indent=2) + "\n")
        reference.write(folder / "reference.npz", dataset.profile)
        (folder / "report.md").write_text(report.training_report(run, number, markdown.linked))
        for name, picture in all_pictures.items():
            (folder / f"{name}.png").write_bytes(picture)
    text = report.training_report(run, number, markdown.embedded(all_pictures))
    told = f"Version {number}: {evaluation.accuracy:.2%}"
    artifact = create_markdown_artifact(text, key=REPORT_KEY, description=told)
    create_table_artifact(report.class_table(evaluation), key=CLASSES_KEY, description=f"Version {number}, each digit")
    versions.remove_work(trained.fingerprint)
    return Published(
        version=number,
        folder=str(versions.folder(number)),
        artifact=cast("UUID", artifact),
        accuracy=evaluation.accuracy,
        interval=evaluation.interval,
        errors=evaluation.errors,
        rows=evaluation.rows,
    )


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
