"""Report a training: publish in Prefect what the store's newest versions tell of themselves."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, cast

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from artifacts.store import Store
from tasks import events
from tasks.stage import stage

if TYPE_CHECKING:
    from uuid import UUID

    from schemas.results import Published

REPORT_KEY = "training-report"
CLASSES_KEY = "training-classes"


@stage
def report_training(published: Published, store: str) -> Published:
    """Publish report, per-class table and event of each version that has none in Prefect; give the run's with its id.

    They are made of what lies in the store: what couldn't be told while the server was away, the next run tells.
    """
    from artifacts import markdown, report

    versions = Store(store)
    for version in versions.unreported():
        if faults := versions.faults(version):
            get_run_logger().warning("not reported: %s", "; ".join(faults))
            versions.reported(version)
            continue
        folder = versions.folder(version)
        metrics = json.loads((folder / "metrics.json").read_text())
        verdict = "promoted" if metrics["decision"]["promoted"] else "not promoted"
        told = f"Version {version}: {metrics['accuracy']:.2%}, {verdict}"
        text = markdown.standing_alone(folder / "report.md")
        artifact = create_markdown_artifact(text, key=REPORT_KEY, description=told)
        table = report.class_table(metrics)
        create_table_artifact(table, key=CLASSES_KEY, description=f"Version {version}, each digit")
        if outcome := versions.first_told(version):
            events.of_decision(store, outcome, metrics["decision"])
        versions.reported(version)
        if version == published.version:
            published = dataclasses.replace(published, artifact=cast("UUID", artifact))
    return published
