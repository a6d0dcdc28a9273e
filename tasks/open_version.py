"""Open a version: verify its files, and load and compile its model."""

from __future__ import annotations

from prefect import task

from artifacts.store.store import Store
from schemas.prediction import Predictor
from tasks.orchestration.retries import RETRIED


@task(task_run_name="open version {version}", **RETRIED)
def open_version(store: Store, version: int) -> Predictor:
    """Return the predictor of a version; raise StoreError if its files have changed since it was published."""
    from tasks.prediction import stream

    return stream.predictor(store, version)
