"""Publish: put the model and everything about it into the store, make it champion if it may be, report in Prefect."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, cast

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from artifacts.store import MODEL, Store
from schemas.errors import StoreError
from schemas.results import Published
from tasks import events
from tasks.stage import stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from uuid import UUID

    from schemas.gate import Decision
    from schemas.results import Dataset, Evaluation, Trained

REPORT_KEY = "training-report"
CLASSES_KEY = "training-classes"


@stage
def publish(  # noqa: PLR0913, what a report tells of
    store: Path,
    dataset: Dataset,
    trained: Trained,
    evaluation: Evaluation,
    decision: Decision,
    pictures: Mapping[str, bytes],
    seconds: Mapping[str, float],
    keep: int,
) -> Published:
    """Make a version of the run, the champion if so decided; then its report and its per-class table in Prefect."""
    from artifacts import markdown, report, version

    all_pictures = {**pictures, **dataset.pictures}
    versions, name = Store(store), run_name()
    with versions.new_version() as (number, folder):
        if decision.promoted and versions.champion() != decision.champion:
            changed = (
                f"version {versions.champion()} has become the champion meanwhile, in place of {decision.champion}"
            )
            decision = dataclasses.replace(decision, promoted=False, reason=changed)
        run = version.describe(dataset, trained, evaluation, decision, seconds)
        trained.network.save(folder / MODEL)
        version.write(folder, number, name, run, dataset.profile, all_pictures)
    decision = _carried_out(versions, number, name, decision)
    events.of_decision(store, number, decision)
    versions.prune(keep)
    text = report.training_report(run, number, markdown.embedded(all_pictures))
    told = f"Version {number}: {evaluation.accuracy:.2%}, {'promoted' if decision.promoted else 'not promoted'}"
    artifact = create_markdown_artifact(text, key=REPORT_KEY, description=told)
    create_table_artifact(report.class_table(evaluation), key=CLASSES_KEY, description=f"Version {number}, each digit")
    versions.remove_work(trained.fingerprint)
    return Published(
        version=number,
        folder=str(versions.folder(number)),
        artifact=cast("UUID", artifact),
        promoted=decision.promoted,
        reason=decision.reason,
        accuracy=evaluation.accuracy,
        interval=evaluation.interval,
        errors=evaluation.errors,
        rows=evaluation.rows,
    )


def run_name() -> str:
    """Give the flow run's name and id, as the history and the card have it."""
    return f"{flow_run.get_name() or 'by hand'} {(flow_run.get_id() or '')[:8]}".strip()


def _carried_out(store: Store, number: int, run: str, decision: Decision) -> Decision:
    """Write the decision into the history and act on it; another run may have changed the champion meanwhile."""
    if decision.promoted:
        try:
            store.promote(number, over=decision.champion, run=run, reason=decision.reason)
        except StoreError as error:
            decision = dataclasses.replace(decision, promoted=False, reason=str(error))
            get_run_logger().warning("not promoted: %s", error)
    if not decision.promoted:
        store.record(
            number, run, decision.reason, promoted=False, accuracy=decision.accuracy, champion=decision.champion
        )
    return decision
