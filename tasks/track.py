"""Track: mirror the store in MLflow, if MLFLOW_TRACKING_URI is set."""

from __future__ import annotations

from prefect import task
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from schemas.address import redact
from schemas.errors import first_line
from tasks.orchestration.retries import ONCE


@task(task_run_name="track", **ONCE)
def track(store: Store) -> None:
    """Add to MLflow what it lacks of the store; a failure is a warning, and the next run catches up."""
    from tasks.tracking import mirror

    logger = get_run_logger()
    try:
        for version in mirror.mirror(store, logger.warning):
            logger.info("version %s is in MLflow", version)
    except Exception as error:  # noqa: BLE001, whatever MLflow raises, the store is complete
        logger.warning("not mirrored in MLflow, the next run catches up: %s", redact(first_line(error)))
