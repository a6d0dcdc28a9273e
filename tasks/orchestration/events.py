"""Emit Prefect events that an automation may act on: a version promoted or refused, data refused, drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect.events import emit_event

from artifacts.store.store import PROMOTION
from artifacts.uri import local_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.results import Drift

PROMOTED, REFUSED = "digits.version.promoted", "digits.version.refused"
DATA_REFUSED, DRIFTED = "digits.data.refused", "digits.data.drifted"


def emit_decision(store: str, entry: Mapping[str, Any], decision: Mapping[str, Any]) -> None:
    """Emit that a candidate was promoted or refused, from its entry in the history and the decision's metrics."""
    event = PROMOTED if entry["event"] == PROMOTION else REFUSED
    metrics = {name: decision[name] for name in ("accuracy", "fixed", "made")}
    emit_version(event, store, entry["version"], entry["reason"], **metrics)


def emit_version(event: str, store: str, version: int, reason: str, **metrics: Any) -> None:  # noqa: ANN401, JSON
    """Emit an event of a version in the store at a path or an address."""
    path = local_path(store)
    uri = store if path is None else str(path.resolve())
    payload = {"version": version, "store": uri, "reason": reason, **metrics}
    emit_event(event, resource=_resource("store", uri), payload=payload)


def emit_refused_data(name: str, reason: str) -> None:
    """Emit that data was refused, and why."""
    emit_event(DATA_REFUSED, resource=_resource("data", name), payload={"reason": reason})


def emit_drift(name: str, drifts: tuple[Drift, ...]) -> None:
    """Emit the drifts that exceed their thresholds, if any."""
    exceeding = [drift for drift in drifts if drift.exceeds_threshold]
    if exceeding:
        payload = {
            "reason": "; ".join(f"{drift.part} part: {drift.summary}" for drift in exceeding),
            "drifts": [{"part": d.part, "what": d.name, "measured": d.value, "bound": d.bound} for d in exceeding],
        }
        emit_event(DRIFTED, resource=_resource("data", name), payload=payload)


def _resource(kind: str, name: str) -> dict[str, str]:
    return {"prefect.resource.id": f"digits.{kind}.{name}", "prefect.resource.name": name}
