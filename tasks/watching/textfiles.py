"""Write a local store's metrics for Prometheus' textfile collector: `store.prom` and `training.prom` in its folder.

Two files, since a promotion knows nothing about the last training. Times are given, not ages: an age grows between two
runs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from artifacts.files import write_atomically
from artifacts.store.store import Store
from artifacts.uri import error_reason, local_path
from tasks.inbox.folder import Inbox
from tasks.watching.status import StoreStatus

Metric = tuple[str, str, float | None, dict[str, str]]
"""Name, help, value and labels; without a value it is left out."""


def write_store(store: Store, now: StoreStatus, warn: Callable[[str], None]) -> None:
    """Write the champion's metrics and the free space."""
    made = now.made.timestamp() if now.made else None
    free = None if now.free_mib is None else now.free_mib << 20
    metrics: list[Metric] = [
        ("digits_champion_version", "Number of the champion.", now.champion, {}),
        ("digits_champion_made_timestamp_seconds", "Time when the champion was trained.", made, {}),
        ("digits_champion_accuracy", "The champion's accuracy on the test rows.", now.accuracy, {}),
        ("digits_store_free_bytes", "Free space on the store's disk.", free, {}),
    ]
    _write(store, "store.prom", metrics, warn)


def write_training(store: Store, outcome: str, time: datetime, inbox: str, warn: Callable[[str], None]) -> None:
    """Write the time and outcome of a training, and the numbers of files in its inbox, if there is one."""
    text = "Time of the last training that ended well, by outcome."
    metrics: list[Metric] = [
        ("digits_training_timestamp_seconds", text, time.timestamp(), {"outcome": outcome.lower()})
    ]
    if inbox:
        for folder, n_files in Inbox(Path(inbox)).counts().items():
            metrics.append(("digits_inbox_files", "Files in the folders of the inbox.", n_files, {"folder": folder}))
    _write(store, "training.prom", metrics, warn)


def _write(store: Store, name: str, metrics: list[Metric], warn: Callable[[str], None]) -> None:
    """Write a file in one step; a disk's error is a warning, since the run has ended well."""
    path = local_path(store.uri)
    if path is None:
        return
    registry, gauges = CollectorRegistry(), dict[str, Gauge]()
    for metric, text, value, labels in metrics:
        if value is not None:
            gauge = gauges.get(metric) or Gauge(metric, text, ["store", *labels], registry=registry)
            gauges[metric] = gauge
            gauge.labels(str(path.absolute()), *labels.values()).set(value)
    try:
        write_atomically(path / name, generate_latest(registry))
    except OSError as error:
        warn(f"{path / name}: can't be written ({error_reason(error)})")
