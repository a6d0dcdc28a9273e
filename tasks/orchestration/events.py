"""Tell Prefect's event bus what an automation may want to act on: versions promoted or refused, data refused, drift."""

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


def of_decision(store: str, told: Mapping[str, Any], decision: Mapping[str, Any]) -> None:
    """Tell that a candidate was promoted, or refused, and why: as the history has it, with the decision's figures."""
    event = PROMOTED if told["event"] == PROMOTION else REFUSED
    figures = {name: decision[name] for name in ("accuracy", "fixed", "made")}
    of_version(event, store, told["version"], told["reason"], **figures)


def of_version(event: str, store: str, version: int, reason: str, **figures: Any) -> None:  # noqa: ANN401, any figure
    """Tell of a version in a store."""
    path = local_path(store)
    place = store if path is None else str(path.resolve())
    payload = {"version": version, "store": place, "reason": reason, **figures}
    emit_event(event, resource=_resource("store", place), payload=payload)


def of_refused_data(name: str, reason: str) -> None:
    """Tell that data was refused, and why."""
    emit_event(DATA_REFUSED, resource=_resource("data", name), payload={"reason": reason})


def of_drift(name: str, drifts: tuple[Drift, ...]) -> None:
    """Tell that data has drifted, and how far; nothing where all is near."""
    far = [
        {"part": d.part, "what": d.name, "measured": d.value, "bound": d.bound} for d in drifts if d.exceeds_threshold
    ]
    if far:
        reason = "; ".join(f"{drift.part} part: {drift.summary}" for drift in drifts if drift.exceeds_threshold)
        emit_event(DRIFTED, resource=_resource("data", name), payload={"reason": reason, "drifts": far})


def _resource(kind: str, name: str) -> dict[str, str]:
    return {"prefect.resource.id": f"digits.{kind}.{name}", "prefect.resource.name": name}
