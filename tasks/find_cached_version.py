"""Find cached version: look for a version that training would only reproduce."""

from __future__ import annotations

import dataclasses
from typing import cast
from uuid import UUID

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from schemas.compute import Compute
from schemas.recipe import Recipe
from schemas.results import Dataset, PublishedVersion
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

UNCHANGED_KEY = "training-unchanged"


@task(task_run_name="find cached version", **RETRIED)
@timed
def find_cached_version(dataset: Dataset, recipe: Recipe, store: Store, compute: Compute) -> PublishedVersion | None:
    """Return the newest intact version of the same data, recipe, code and libraries, or None; report it in Prefect."""
    from tasks.training.fingerprint import fingerprint

    number = store.find_by_fingerprint(fingerprint(dataset, recipe, compute.workers))
    if number is None:
        return None
    champion = store.champion()
    published = dataclasses.replace(
        PublishedVersion.from_card(store.card(number), store.version_uri(number)),
        promoted=champion == number,
        reason=f"the champion is version {champion}" if champion else "there is no champion",
        unchanged=True,
    )
    get_run_logger().info(published.decision_message)
    text = f"# Unchanged\n\nNothing was trained.\n\n{published.decision_message}.\n\n{published.metrics_message}.\n"
    artifact = create_markdown_artifact(text, key=UNCHANGED_KEY, description=f"Version {number} stays")
    return dataclasses.replace(published, artifact=cast("UUID", artifact))
