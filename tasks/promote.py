"""Promote a version by hand, or roll back to the previous champion; the train flow promotes in `publish`."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from schemas.results import Promotion
from schemas.text import printable
from tasks.orchestration import events
from tasks.orchestration.retries import ONCE
from tasks.publish import run_name


@task(task_run_name="promote version {version}", **ONCE)
def promote(store: Store, version: int, replaced: int | None, reason: str) -> Promotion:
    """Verify a version and make it the champion in place of `replaced`.

    Raises StoreError, naming every fault, if its files have changed, or if `replaced` isn't the champion any more.
    """
    from artifacts.reports import markdown
    from tasks.watching import status, textfiles

    store.promote(version, replaced=replaced, run=run_name(), reason=reason)
    promotion = Promotion(version, replaced, reason, store.card(version)["figures"]["accuracy"])
    summary = printable(f"{promotion.summary}: {reason}")
    get_run_logger().info(summary)
    events.emit_version(events.PROMOTED, store.uri, version, reason, accuracy=promotion.accuracy)
    shown = markdown.inert(summary)
    text = f"# Version {version} is the champion\n\n{shown}\n"
    create_markdown_artifact(text, key="promotion", description=shown)
    textfiles.write_store(store, status.read(store), get_run_logger().warning)
    return promotion
