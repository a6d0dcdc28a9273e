"""Report a training: publish in Prefect what the store's newest versions tell of themselves."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, cast

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from tasks.orchestration import events
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from uuid import UUID

    from schemas.results import PublishedVersion

REPORT_KEY = "training-report"
CLASSES_KEY = "training-classes"


@task(task_run_name="report training", **RETRIED)
@timed
def report_training(published: PublishedVersion, store: str) -> PublishedVersion:
    """Publish report, per-class table and event of each version that has none in Prefect; give the run's with its id.

    They are made of what lies in the store: what couldn't be told while the server was away, the next run tells.
    """
    from artifacts.reports import markdown, training_report

    versions = Store(store)
    for version in versions.unreported():
        if faults := versions.faults(version):
            get_run_logger().warning("not reported: %s", "; ".join(faults))
            versions.mark_reported(version)
            continue
        folder = versions.local_dir(version)
        metrics = json.loads((folder / "metrics.json").read_text())
        verdict = "promoted" if metrics["decision"]["promoted"] else "not promoted"
        told = f"Version {version}: {metrics['accuracy']:.2%}, {verdict}"
        text = markdown.embed_pictures(folder / "report.md")
        artifact = create_markdown_artifact(text, key=REPORT_KEY, description=told)
        table = training_report.class_table(metrics)
        create_table_artifact(table, key=CLASSES_KEY, description=f"Version {version}, each digit")
        if outcome := versions.first_event(version):
            events.emit_decision(store, outcome, metrics["decision"])
        versions.mark_reported(version)
        if version == published.version:
            published = dataclasses.replace(published, artifact=cast("UUID", artifact))
    return published
