"""Find cached version: look for a version that training would only reproduce."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task

from artifacts.store import known_inputs
from artifacts.store.store import Store
from schemas.compute import Compute
from schemas.recipe import Recipe
from schemas.results import Dataset, PublishedVersion
from tasks.find_unchanged import UnreadInputs, look_at, report_cached
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from tasks.validation.input_digest import Inputs


@task(task_run_name="find cached version", **RETRIED)
@timed
def find_cached_version(
    dataset: Dataset, recipe: Recipe, store: Store, compute: Compute, unread: UnreadInputs | None
) -> PublishedVersion | None:
    """Return the newest intact version of the same data, recipe, code and libraries, or None; report it in Prefect.

    Remembers the inputs for `find_unchanged`, unless they have changed while they were read, or validation had
    something to report, which each run repeats.
    """
    from tasks.training.fingerprint import fingerprint

    data_and_recipe = fingerprint(dataset, recipe, compute.workers)
    if unread and unread.digest and _is_quiet(unread.inputs, dataset) and unread == look_at(unread.inputs, store):
        known_inputs.write(store, unread.inputs.key, unread.digest, data_and_recipe, unread.champion)
    return report_cached(data_and_recipe, store)


def _is_quiet(inputs: Inputs, dataset: Dataset) -> bool:
    """Check whether validation had nothing to report."""
    from tasks.validation import input_digest, inspection

    return inspection.is_clean(dataset) and input_digest.are_all_added(inputs, dataset.validation.added)
