"""Review: rank the images that a person should look at, and write the first of them into a folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import cast
from uuid import UUID

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from artifacts.uri import check_local
from schemas.errors import InputError
from schemas.review import REASONS, Review
from tasks.orchestration.retries import RETRIED


def check_output(folder: Path) -> None:
    """Raise InputError unless a folder can be created at a path."""
    check_local(folder, "--output")
    if folder.exists():
        raise InputError(f"--output {folder}: exists; move it into the inbox or away, or choose another folder")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"--output {folder}: {folder.absolute().parent} isn't a folder; create it first")


@task(task_run_name="review {output}", **RETRIED)
def review(store: Store, inbox: str, output: Path, limit: int) -> Review:
    """Write the first images of the store's queue into a folder and publish the report; change nothing else."""
    from artifacts.reports import markdown, plots, review_report
    from artifacts.store import review as review_store
    from tasks.reviewing import queue

    log = get_run_logger()
    corrections = queue.read_corrections(Path(inbox), log.warning) if inbox else ()
    ranked = queue.rank(review_store.read(store), {correction.item for correction in corrections})
    first = ranked.head(limit)
    n_reasons = {reason: sum(reason in reasons for reasons in ranked["reasons"]) for reason in REASONS}
    result = Review(store.uri, first, len(ranked), n_reasons, corrections, str(output))
    pictures = plots.draw(review_report.SECTIONS, result)
    text = review_report.review_report(result, markdown.as_data_uris(pictures))
    artifact = create_markdown_artifact(text, key="review-queue", description=markdown.inert(result.summary))
    if len(first):
        queue.write(first, output)  # last, since a retry couldn't write it again
    log.info(result.summary)
    return dataclasses.replace(result, artifact=cast("UUID", artifact))
