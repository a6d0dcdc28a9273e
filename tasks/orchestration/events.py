"""Emit Prefect events for automations: a version promoted or refused, data refused, drift, predictions, alarms."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.logging import get_run_logger

from artifacts.uri import local_path
from schemas.text import printable
from schemas.validation import Drift

PROMOTED, REFUSED = "digits.version.promoted", "digits.version.refused"
DATA_REFUSED, DRIFTED = "digits.data.refused", "digits.data.drifted"
PREDICTED = "digits.data.predicted"
ALARM_CHAMPION, ALARM_DISK = "digits.alarm.champion", "digits.alarm.disk"
ALARM_INBOX, ALARM_DRIFT = "digits.alarm.inbox", "digits.alarm.drift"


def emit(event: str, kind: str, name: str, reason: str, **payload: Any) -> None:  # noqa: ANN401, JSON
    """Emit an event of a store or of data."""
    emit_event(event, resource=_resource(kind, name), payload={"reason": printable(reason), **payload})


def emit_decision(store: str, version: int, decision: Mapping[str, Any]) -> None:
    """Emit that a candidate was promoted or refused, from the decision in its `metrics.json`."""
    metrics = {name: decision[name] for name in ("accuracy", "fixed", "made")}
    emit_version(PROMOTED if decision["promoted"] else REFUSED, store, version, decision["reason"], **metrics)


def emit_version(event: str, store: str, version: int, reason: str, **metrics: Any) -> None:  # noqa: ANN401, JSON
    """Emit an event of a version."""
    emit(event, "store", store, reason, version=version, store=_absolute(store), **metrics)


def raise_alarm(event: str, kind: str, name: str, reason: str) -> None:
    """Log and emit an alarm of a store, or of data, if it has a reason."""
    if reason:
        get_run_logger().warning("%s: %s", event, printable(reason))
        emit(event, kind, name, reason)


def drifted_before(name: str, limit: int) -> list[bool]:
    """Return whether a source had drifted in each of its last predictions, the newest first."""
    resource = EventResourceFilter(id=[_resource("data", name)["prefect.resource.id"]])
    wanted = EventFilter(event=EventNameFilter(name=[PREDICTED]), resource=resource)
    with get_client(sync_client=True) as client:
        return [event.payload["drifted"] for event in client.read_events(wanted, limit).events]


def emit_drift(name: str, drifts: tuple[Drift, ...]) -> None:
    """Emit the drifts that exceed their thresholds, if any."""
    if exceeding := [drift for drift in drifts if drift.exceeds_threshold]:
        reason = "; ".join(f"{drift.part} part: {drift.summary}" for drift in exceeding)
        fields = [{"part": d.part, "what": d.name, "measured": d.value, "bound": d.bound} for d in exceeding]
        emit(DRIFTED, "data", name, reason, drifts=fields)


def _absolute(store: str) -> str:
    """Return a store's address, or its absolute path."""
    path = local_path(store)
    # Not `resolve`: triggers match the path that a deployment has, which may be a link to another disk.
    return printable(store if path is None else os.path.abspath(path))  # noqa: PTH100


def _resource(kind: str, name: str) -> dict[str, str]:
    name = _absolute(name) if kind == "store" else printable(name)
    return {"prefect.resource.id": f"digits.{kind}.{name}", "prefect.resource.name": name}
