"""Unchanged: find the version that training would only make again."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from schemas.results import PublishedVersion
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from uuid import UUID

    from schemas.compute import Compute
    from schemas.recipe import Recipe
    from schemas.results import Dataset

UNCHANGED_KEY = "training-unchanged"


@task(task_run_name="find cached version", **RETRIED)
@timed
def find_cached_version(dataset: Dataset, recipe: Recipe, store: str, compute: Compute) -> PublishedVersion | None:
    """Give the newest whole version of the same data, recipe, code and libraries, if there is one, and tell of it."""
    from tasks.training.fingerprint import fingerprint

    versions = Store(store)
    number = versions.find_by_fingerprint(fingerprint(dataset, recipe, compute.workers))
    if number is None:
        return None
    card, champion = versions.card(number), versions.champion()
    figures = card["figures"]
    made = f"version {number} was made of the same data, recipe, training code and libraries"
    told = f"{made}; --retrain trains all the same"
    get_run_logger().info("unchanged: %s", told)
    text = f"# Unchanged\n\nNothing was trained: {told}. Its test accuracy is {figures['accuracy']:.2%}.\n"
    artifact = create_markdown_artifact(text, key=UNCHANGED_KEY, description=f"Version {number} stays")
    low, high = figures["interval"]
    return PublishedVersion(
        version=number,
        folder=versions.place(number),
        promoted=champion == number,
        reason=f"the champion is version {champion}" if champion else "there is no champion",
        accuracy=figures["accuracy"],
        interval=(low, high),
        errors=figures["errors"],
        n_rows=card["data"]["rows"]["test"],
        unchanged=True,
        artifact=cast("UUID", artifact),
    )
