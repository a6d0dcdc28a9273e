"""Find cached version: look for a version that training would only reproduce."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task

from artifacts.store import known_inputs
from artifacts.store.store import Store
from schemas.compute import Compute
from schemas.recipe import Recipe
from schemas.results import Dataset, PublishedVersion
from tasks.find_unchanged import report_cached
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from tasks.validation.input_digest import Snapshot


@task(task_run_name="find cached version", **RETRIED)
@timed
def find_cached_version(
    dataset: Dataset, recipe: Recipe, store: Store, compute: Compute, snapshot: Snapshot
) -> PublishedVersion | None:
    """Return the newest intact version of the same data, recipe, code and libraries, or None; report it in Prefect.

    Remembers the inputs for `find_unchanged`, if a run with the same ones needn't read them.
    """
    from tasks.training.fingerprint import fingerprint

    data_and_recipe = fingerprint(dataset, recipe, compute.workers)
    if snapshot.digest and _is_reading_optional(snapshot, dataset, store):
        queue = snapshot.queue if dataset.validation.corrections else ""
        known_inputs.write(store, snapshot.inputs.key, snapshot.digest, data_and_recipe, snapshot.champion, queue)
    return report_cached(data_and_recipe, store)


def _is_reading_optional(snapshot: Snapshot, dataset: Dataset, store: Store) -> bool:
    """Check whether validation had nothing to report, which each run repeats, and nothing changed meanwhile."""
    from tasks.validation import input_digest, inspection

    return (
        inspection.is_clean(dataset)
        and input_digest.are_all_added(snapshot.inputs, dataset.validation.added, dataset.validation.corrections)
        and snapshot == input_digest.take_snapshot(snapshot.inputs, store)
    )
