"""Load: read a source, and that of the test part if it has its own, as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from schemas.errors import NOT_OF_THE_DATA, InputError
from schemas.shards import Manifest
from tasks import events
from tasks.stage import may_pass, stage

if TYPE_CHECKING:
    import pandas as pd

    from schemas.results import Loaded
    from schemas.rules import Rules

DATA_KEY = "data-validation"


@stage(run_name="load {source}")
def load(source: str, test_source: str | None, rules: Rules) -> Loaded:
    """Read what a source holds; raise InputError, naming the fault, when it can't be read, and report it."""
    from tasks.sources import catalogue

    try:
        loaded = catalogue.load(source, test_source, rules)
    except InputError as error:
        if may_pass(error) or isinstance(error, NOT_OF_THE_DATA):  # what can't be had says nothing about the data
            raise
        from artifacts import validation_report

        create_markdown_artifact(
            validation_report.unreadable(source, str(error)), key=DATA_KEY, description=f"{source}: not read"
        )
        events.of_refused_data(source, str(error))
        raise
    told = " and ".join(f"{part} part {_told(held)}" for part, held in loaded.parts.items())
    get_run_logger().info("%s: %s", loaded.name, told)
    return loaded


def _told(held: pd.DataFrame | Manifest) -> str:
    return held.told if isinstance(held, Manifest) else f"{len(held):,} rows"
