"""Emit Prefect events for automations: a version promoted or refused, data refused, drift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect.events import emit_event

from artifacts.uri import local_path
from schemas.text import printable
from schemas.validation import Drift

PROMOTED, REFUSED = "digits.version.promoted", "digits.version.refused"
DATA_REFUSED, DRIFTED = "digits.data.refused", "digits.data.drifted"


def emit_decision(store: str, version: int, decision: Mapping[str, Any]) -> None:
    """Emit that a candidate was promoted or refused, from the decision in its `metrics.json`."""
    metrics = {name: decision[name] for name in ("accuracy", "fixed", "made")}
    emit_version(PROMOTED if decision["promoted"] else REFUSED, store, version, decision["reason"], **metrics)


def emit_version(event: str, store: str, version: int, reason: str, **metrics: Any) -> None:  # noqa: ANN401, JSON
    """Emit an event of a version."""
    path = local_path(store)
    uri = printable(store if path is None else path.resolve())
    payload = {"version": version, "store": uri, "reason": printable(reason), **metrics}
    emit_event(event, resource=_resource("store", uri), payload=payload)


def emit_refused_data(name: str, reason: str) -> None:
    """Emit that data was refused."""
    emit_event(DATA_REFUSED, resource=_resource("data", name), payload={"reason": printable(reason)})


def emit_drift(name: str, drifts: tuple[Drift, ...]) -> None:
    """Emit the drifts that exceed their thresholds, if any."""
    if exceeding := [drift for drift in drifts if drift.exceeds_threshold]:
        payload = {
            "reason": "; ".join(f"{drift.part} part: {drift.summary}" for drift in exceeding),
            "drifts": [{"part": d.part, "what": d.name, "measured": d.value, "bound": d.bound} for d in exceeding],
        }
        emit_event(DRIFTED, resource=_resource("data", name), payload=payload)


def _resource(kind: str, name: str) -> dict[str, str]:
    name = printable(name)
    return {"prefect.resource.id": f"digits.{kind}.{name}", "prefect.resource.name": name}
