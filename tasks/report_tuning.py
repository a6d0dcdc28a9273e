"""Report a tuning: write the better recipe to its file, and publish the report in Prefect."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import cast
from uuid import UUID

from prefect import task
from prefect.artifacts import create_markdown_artifact

from artifacts import recipe_file
from schemas.tuning import Tuning
from tasks.orchestration.retries import RETRIED


@task(task_run_name="report tuning", **RETRIED)
def report_tuning(tuning: Tuning) -> Tuning:
    """Write the recipe file, if there is a better recipe; return the result with the report's artifact id."""
    from artifacts.reports import markdown, plots, tuning_report

    if tuning.winner:
        recipe_file.write(Path(tuning.output), tuning.winner, tuning.summary)
    pictures = plots.draw(tuning_report.SECTIONS, tuning)
    text = tuning_report.tuning_report(tuning, markdown.as_data_uris(pictures))
    artifact = create_markdown_artifact(text, key="tuning-report", description=markdown.inert(tuning.summary))
    return dataclasses.replace(tuning, artifact=cast("UUID", artifact))
