"""Verify: compare a version with its card."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from schemas.errors import StoreError
from schemas.results import VerificationResult
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed
from tasks.verification.faults import find_faults

VERIFICATION_KEY = "verification"


@task(task_run_name="verify version {version}", **RETRIED)
@timed
def verify(store: Store, version: int, *, reproduce: bool) -> VerificationResult:
    """Hash a version's files and evaluate its model again; raise StoreError naming all differences from its card.

    `reproduce` also trains again by the card's recipe and compares the weights, bit for bit.
    """
    faults = find_faults(store, version, reproduce=reproduce)
    checked = "files, metrics and retrained weights" if reproduce else "files and metrics"
    summary = "; ".join(faults) or f"version {version} matches its card: {checked}"
    title = f"Version {version}: {'differs from its card' if faults else 'verified'}"
    lines = "\n".join(f"- {line}" for line in faults or [summary])
    create_markdown_artifact(f"# {title}\n\n{lines}\n", key=VERIFICATION_KEY, description=title)
    if faults:
        raise StoreError(summary)
    get_run_logger().info(summary)
    return VerificationResult(version=version, summary=summary)
