"""Watch store: write the metrics for Prometheus, and raise alarms about the champion's age and the disk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from prefect import task
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from schemas.errors import first_line
from schemas.watch import WatchRules
from tasks.orchestration import events
from tasks.orchestration.retries import ONCE
from tasks.orchestration.stopwatch import timed


@task(task_run_name="watch store", **ONCE)
@timed
def watch_store(store: Store, outcome: str, inbox: str, rules: WatchRules) -> None:
    """Write the metrics after a training that ended with an outcome, and raise the store's alarms."""
    now, warn = datetime.now(tz=UTC), get_run_logger().warning
    try:
        _watch(store, outcome, inbox, rules, now, warn)
    except Exception as error:  # noqa: BLE001, the run has ended well
        warn("the store isn't watched: %s", first_line(error))


def _watch(  # noqa: PLR0913, the inputs of all alarms
    store: Store, outcome: str, inbox: str, rules: WatchRules, now: datetime, warn: Callable[..., None]
) -> None:
    from tasks.watching import alarms, status, textfiles

    current = status.read(store)
    textfiles.write_store(store, current, warn)
    textfiles.write_training(store, outcome, now, inbox, warn)
    reasons = {
        events.ALARM_CHAMPION: alarms.champion_age(current, rules, now),
        events.ALARM_DISK: alarms.free_disk(current, rules),
    }
    events.raise_store_alarms(store.uri, reasons)
