"""Find unchanged: look for the version that the same inputs gave in an earlier run, without reading any rows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, cast
from uuid import UUID

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artifacts.store import known_inputs
from artifacts.store.store import Store
from schemas.results import PublishedVersion
from tasks.orchestration.retries import RETRIED

if TYPE_CHECKING:
    from tasks.validation.input_digest import Snapshot

NOT_READ = "; its files were validated by an earlier run, and weren't read again"


@task(task_run_name="find unchanged", **RETRIED)
def find_unchanged(snapshot: Snapshot, store: Store) -> PublishedVersion | None:
    """Return the version that the same inputs gave in an earlier run, or None; report it in Prefect."""
    fingerprint = snapshot.digest and known_inputs.read(store, snapshot.inputs.key, snapshot.digest, snapshot.queue)
    return report_cached(fingerprint, store, NOT_READ) if fingerprint else None


def report_cached(fingerprint: str, store: Store, note: str = "") -> PublishedVersion | None:
    """Return the newest intact version with a fingerprint, or None; report it in Prefect."""
    number = store.find_by_fingerprint(fingerprint)
    if number is None:
        return None
    champion = store.champion()
    published = dataclasses.replace(
        PublishedVersion.from_card(store.card(number), store.version_uri(number)),
        promoted=champion == number,
        reason=f"the champion is version {champion}" if champion else "there is no champion",
        unchanged=True,
    )
    get_run_logger().info("%s%s", published.decision_message, note)
    text = (
        f"# Unchanged\n\nNothing was trained.\n\n{published.decision_message}{note}.\n\n{published.metrics_message}.\n"
    )
    artifact = create_markdown_artifact(text, key="training-unchanged", description=f"Version {number} stays")
    return dataclasses.replace(published, artifact=cast("UUID", artifact))
