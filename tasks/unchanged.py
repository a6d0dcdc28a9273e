"""Unchanged: find the version that training would only make again."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artifacts.store import Store
from schemas.results import Published
from tasks.stage import stage

if TYPE_CHECKING:
    from uuid import UUID

    from schemas.compute import Compute
    from schemas.recipe import Recipe
    from schemas.results import Dataset

UNCHANGED_KEY = "training-unchanged"


@stage
def find_unchanged(dataset: Dataset, recipe: Recipe, store: str, compute: Compute) -> Published | None:
    """Give the newest whole version of the same data, recipe, code and libraries, if there is one, and tell of it."""
    from tasks.training.fingerprint import fingerprint

    versions = Store(store)
    number = versions.with_fingerprint(fingerprint(dataset, recipe, compute.workers))
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
    return Published(
        version=number,
        folder=versions.place(number),
        promoted=champion == number,
        reason=f"the champion is version {champion}" if champion else "there is no champion",
        accuracy=figures["accuracy"],
        interval=(low, high),
        errors=figures["errors"],
        rows=card["data"]["rows"]["test"],
        unchanged=True,
        artifact=cast("UUID", artifact),
    )
