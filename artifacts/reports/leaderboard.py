"""How the versions of a store compare: a table of the last ones, and a plot that marks promotions and rollbacks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from artifacts.reports import markdown
from artifacts.store.history import Event
from artifacts.store.store import PROMOTION, PROMOTION_EVENTS, ROLLBACK, Store
from schemas.errors import StoreError

SHOWN = 20
EVENTS = 500
"""How many of the newest events to search for promotions: reading all of a long history takes time."""
PROMOTED, ROLLED_BACK = "promoted", "rolled back to"
HISTORY = "history"
"""The name of the plot that the report refers to."""


@dataclass(frozen=True)
class VersionSummary:
    """A version's metrics, and by which events it became the champion."""

    version: int
    made: str
    recipe: str
    accuracy: float
    interval: tuple[float, float]
    errors: int
    fixed: int | None
    newly_made: int | None
    champion: bool
    promotions: tuple[str, ...]


def summaries(store: Store, history: Iterable[Event]) -> list[VersionSummary]:
    """Summarize each of the last versions whose card can be read, the oldest first."""
    champion, promotions = store.champion(), _promotions(history)
    found = []
    for version in store.versions()[-SHOWN:]:
        with contextlib.suppress(StoreError, KeyError, TypeError):  # `verify` reports a damaged card
            card = store.card(version)
            found.append(_summary(version, card, tuple(promotions.get(version, ())), champion=version == champion))
    return found


def history_report(history: Sequence[Event], address: Callable[[str], str]) -> str:
    """Write the report with the plot and the last promotions and rollbacks, the newest first."""
    promotions = [event for event in reversed(history) if event["event"] in PROMOTION_EVENTS]
    rows = [[_minute(event["time"]), event["version"], event["event"], event["reason"]] for event in promotions]
    table = markdown.table(["time, UTC", "version", "what", "why"], rows[:SHOWN], left=4) if rows else "None so far."
    return (
        f"# Accuracy over versions\n\n![Accuracy of each version, champions marked]({address(HISTORY)})\n\n"
        f"## Promotions and rollbacks\n\n{table}\n"
    )


def table(summaries: Iterable[VersionSummary]) -> list[dict[str, str | int]]:
    """Return the rows of a table artifact, the newest version first."""
    return [
        {
            "version": one.version,
            "in use": "champion" if one.champion else "",
            "accuracy": f"{one.accuracy:.2%}",
            "mistakes": one.errors,
            "fixed": "" if one.fixed is None else one.fixed,
            "newly made": "" if one.newly_made is None else one.newly_made,
            "decision": " then ".join(one.promotions) or "not promoted",
            "trained": one.recipe,
            "made, UTC": _minute(one.made),
        }
        for one in reversed(list(summaries))
    ]


def _minute(time: str) -> str:
    """Format an ISO 8601 time in UTC as `2026-01-31 07:05`."""
    return time[:16].replace("T", " ")


def _summary(version: int, card: dict[str, Any], promotions: tuple[str, ...], *, champion: bool) -> VersionSummary:
    metrics, decision, recipe = card["figures"], card["decision"], card["recipe"]
    return VersionSummary(
        version=version,
        made=card["made"],
        recipe=f"{recipe['network']}, {recipe['epochs']} epochs",
        accuracy=metrics["accuracy"],
        interval=tuple(metrics["interval"]),
        errors=metrics["errors"],
        fixed=decision["fixed"],
        newly_made=decision["made"],
        champion=champion,
        promotions=promotions,
    )


def _promotions(history: Iterable[Event]) -> dict[int, list[str]]:
    """Return how each version became the champion, in words."""
    found: dict[int, list[str]] = {}
    words = {PROMOTION: PROMOTED, ROLLBACK: ROLLED_BACK}
    for event in history:
        if event["event"] in words:
            found.setdefault(event["version"], []).append(words[event["event"]])
    return found
