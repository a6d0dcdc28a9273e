"""Publish: put the model and everything about it into the store, and the report into Prefect."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from artifacts.store import Store
from schemas.results import Published
from tasks.stage import stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from uuid import UUID

    from schemas.results import Dataset, Evaluation, Trained

REPORT_KEY = "training-report"
CLASSES_KEY = "training-classes"


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
    from artifacts import markdown, report, version

    run = version.describe(dataset, trained, evaluation, seconds)
    all_pictures = {**pictures, **dataset.pictures}
    versions = Store(store)
    with versions.new_version() as (number, folder):
        trained.network.save(folder / "model.keras")
        version.write(folder, number, run, dataset.profile, all_pictures)
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
