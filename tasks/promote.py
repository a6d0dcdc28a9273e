"""Promote: make a version the champion by hand, or go back to the one before."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artifacts.store.store import PROMOTION, ROLLBACK, Store
from schemas.results import Promotion
from tasks.orchestration import events
from tasks.orchestration.retries import ONCE
from tasks.orchestration.stopwatch import timed
from tasks.publish import run_name

PROMOTION_KEY = "promotion"


@task(task_run_name="promote version {version}", **ONCE)
@timed
def promote(store: str, version: int, reason: str) -> Promotion:
    """Verify a version and make it the champion; raise StoreError, naming every fault, when it isn't what it was."""
    versions = Store(store)
    over = versions.champion()
    older = over is not None and version < over
    versions.promote(version, over=over, run=run_name(), reason=reason, event=ROLLBACK if older else PROMOTION)
    accuracy = float(versions.card(version)["figures"]["accuracy"])
    told = f"version {version} is the champion, in place of {'none' if over is None else f'version {over}'}: {reason}"
    get_run_logger().info(told)
    events.emit_version(events.PROMOTED, store, version, reason, accuracy=accuracy)
    create_markdown_artifact(f"# Version {version} is the champion\n\n{told}\n", key=PROMOTION_KEY, description=told)
    return Promotion(version=version, replaced=over, reason=reason, accuracy=accuracy)
