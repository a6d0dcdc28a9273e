"""Report a training: publish the reports of the newest versions in Prefect."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import cast
from uuid import UUID

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from schemas.errors import StoreError
from schemas.results import PublishedVersion
from tasks.orchestration import events
from tasks.orchestration.retries import RETRIED


@task(task_run_name="report training", **RETRIED)
def report_training(published: PublishedVersion, store: Store) -> PublishedVersion:
    """Publish report, table and event of each version not yet reported; return this run's version with its artifact id.

    Everything is read from the store, so that a run that can't reach the Prefect server leaves it to the next run.
    """
    for version in store.unreported():
        try:
            folder = store.verified_dir(version)
        except StoreError as error:
            get_run_logger().warning("not reported: %s", error)
        else:
            artifact = _report(version, folder, store)
            if version == published.version:
                published = dataclasses.replace(published, artifact=artifact)
        store.mark_reported(version)
    return published


def _report(version: int, folder: Path, store: Store) -> UUID:
    from artifacts.reports import markdown, training_report

    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    decision = metrics["decision"]
    outcome = "promoted" if decision["promoted"] else "not promoted"
    text = markdown.embed_pictures(folder / "report.md")
    description = f"Version {version}: {metrics['accuracy']:.2%}, {outcome}"
    artifact = create_markdown_artifact(text, key="training-report", description=description)
    table = training_report.class_table(metrics)
    create_table_artifact(table, key="training-classes", description=f"Version {version}, each digit")
    events.emit_decision(store.uri, version, decision)
    return cast("UUID", artifact)
