"""Watch store: write the metrics for Prometheus, and raise alarms about the champion's age and the disk."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import task
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from schemas.errors import first_line
from schemas.watch import WatchRules
from tasks.orchestration import events
from tasks.orchestration.retries import ONCE


@task(task_run_name="watch store", **ONCE)
def watch_store(store: Store, outcome: str, inbox: str, rules: WatchRules) -> None:
    """Write the metrics after a training that ended with an outcome, and raise the store's alarms."""
    from tasks.watching import alarms, status, textfiles

    now, warn = datetime.now(tz=UTC), get_run_logger().warning
    try:
        current = status.read(store)
        textfiles.write_store(store, current, warn)
        textfiles.write_training(store, outcome, now, inbox, warn)
        events.raise_alarm(events.ALARM_CHAMPION, "store", store.uri, alarms.champion_age(current, rules, now))
        events.raise_alarm(events.ALARM_DISK, "store", store.uri, alarms.free_disk(current, rules))
    except Exception as error:  # noqa: BLE001, the run has ended well
        warn("the store isn't watched: %s", first_line(error))
