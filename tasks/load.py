"""Load: read a source and, if there is one, the test source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from schemas.errors import ENVIRONMENT_ERRORS, InputError
from schemas.results import RawDataset
from schemas.rules import Rules
from schemas.shards import ShardManifest
from tasks.orchestration import events
from tasks.orchestration.retries import RETRIED, is_transient
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    import pandas as pd

DATA_KEY = "data-validation"


@task(task_run_name="load {source}", **RETRIED)
@timed
def load(source: str, test_source: str | None, rules: Rules) -> RawDataset:
    """Read a source; if it can't be read, report that in Prefect and raise InputError."""
    from artifacts.reports import markdown
    from tasks.sources import datasets

    try:
        raw = datasets.load(source, test_source, rules)
    except InputError as error:
        # An unavailable source is no fault of the data.
        if not is_transient(error) and not isinstance(error, ENVIRONMENT_ERRORS):
            title = f"{markdown.inert(source)}: not read"
            create_markdown_artifact(f"# {title}\n\n{markdown.inert(error)}\n", key=DATA_KEY, description=title)
            events.emit(events.DATA_REFUSED, "data", source, str(error))
        raise
    summary = " and ".join(f"{part} part {_summary(rows)}" for part, rows in raw.parts.items())
    get_run_logger().info("%s: %s", raw.name, summary)
    for note in raw.notes:
        get_run_logger().info("%s: %s", raw.name, note)
    return raw


def _summary(rows: pd.DataFrame | ShardManifest) -> str:
    return rows.summary if isinstance(rows, ShardManifest) else f"{len(rows):,} rows"
