"""Load: read a source, and that of the test part if it has its own, as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from schemas.errors import ENVIRONMENT_ERRORS, InputError
from schemas.shards import ShardManifest
from tasks.orchestration import events
from tasks.orchestration.retries import RETRIED, is_transient
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    import pandas as pd

    from schemas.results import RawDataset
    from schemas.rules import Rules

DATA_KEY = "data-validation"


@task(task_run_name="load {source}", **RETRIED)
@timed
def load(source: str, test_source: str | None, rules: Rules) -> RawDataset:
    """Read what a source holds; raise InputError, naming the fault, when it can't be read, and report it."""
    from tasks.sources import formats

    try:
        loaded = formats.load(source, test_source, rules)
    except InputError as error:
        if is_transient(error) or isinstance(
            error, ENVIRONMENT_ERRORS
        ):  # what can't be had says nothing about the data
            raise
        from artifacts.reports import validation_report

        create_markdown_artifact(
            validation_report.unreadable(source, str(error)), key=DATA_KEY, description=f"{source}: not read"
        )
        events.emit_refused_data(source, str(error))
        raise
    told = " and ".join(f"{part} part {_told(held)}" for part, held in loaded.parts.items())
    get_run_logger().info("%s: %s", loaded.name, told)
    return loaded


def _told(held: pd.DataFrame | ShardManifest) -> str:
    return held.summary if isinstance(held, ShardManifest) else f"{len(held):,} rows"
