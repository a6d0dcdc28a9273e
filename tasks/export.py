"""Export: write a version in formats for other runtimes, each checked on the test rows in its own runtime."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from schemas.exports import Export, ExportFormat
from schemas.results import Dataset
from tasks.orchestration.retries import RETRIED


@task(task_run_name="export version {version}", **RETRIED)
def export_version(
    store: Store, version: int, formats: Sequence[ExportFormat], dataset: Dataset | None = None
) -> tuple[Export, ...]:
    """Export a version; an export that fails has a `fault` and isn't kept.

    Without a dataset, the data that the card names is read again. Raises InputError if it has changed or is gone.
    """
    from artifacts.reports import markdown
    from tasks.exporting import exporter

    dataset = dataset or exporter.read_data(store, version)
    exports = exporter.export(store, version, tuple(dict.fromkeys(formats)), dataset)
    for each in exports:
        (get_run_logger().warning if each.fault else get_run_logger().info)("version %s: %s", version, each.summary)
    rows = [{"format": each.format, "result": each.summary} for each in exports]
    create_table_artifact(markdown.inert_rows(rows), key="exports", description=f"Exports of version {version}")
    return exports
