"""How the versions of a store compare: a table of the last of them, and a plot with promotions and rollbacks marked."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artifacts.reports import markdown
from artifacts.store.store import PROMOTION, PROMOTION_EVENTS, ROLLBACK
from schemas.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from artifacts.store.store import Store

SHOWN = 20
PROMOTED, ROLLED_BACK = "promoted", "rolled back to"
HISTORY = "history"
"""The picture that the report refers to."""


@dataclass(frozen=True)
class VersionSummary:
    """What a version reached, and what came of it: `crowned` tells by what events it became the champion."""

    version: int
    made: str
    recipe: str
    accuracy: float
    interval: tuple[float, float]
    errors: int
    fixed: int | None
    newly_made: int | None
    champion: bool
    crowned: tuple[str, ...]


def summaries(store: Store) -> list[VersionSummary]:
    """Give the standing of each of the last versions whose card can be read, the oldest first."""
    champion, crowned = store.champion(), _crownings(store.history())
    found = []
    for version in store.versions()[-SHOWN:]:
        with contextlib.suppress(StoreError, KeyError, TypeError):  # of a damaged card it is `verify` that tells
            card = store.card(version)
            found.append(_standing(version, card, tuple(crowned.get(version, ())), champion=version == champion))
    return found


def history_report(store: Store, address: Callable[[str], str]) -> str:
    """Write the report that shows the plot, with the last promotions and rollbacks, the newest first."""
    crowned = [event for event in reversed(store.history()) if event["event"] in PROMOTION_EVENTS]
    rows = [[_minute(event["time"]), event["version"], event["event"], event["reason"]] for event in crowned]
    told = markdown.table(["time, UTC", "version", "what", "why"], rows[:SHOWN], left=4) if rows else "None so far."
    return (
        f"# Accuracy over versions\n\n![Accuracy of each version, champions marked]({address(HISTORY)})\n\n"
        f"## Promotions and rollbacks\n\n{told}\n"
    )


def table(summaries: Iterable[VersionSummary]) -> list[dict[str, str | int]]:
    """Give the standings as the rows of a table artifact, the newest first."""
    return [
        {
            "version": one.version,
            "in use": "champion" if one.champion else "",
            "accuracy": f"{one.accuracy:.2%}",
            "mistakes": one.errors,
            "fixed": "" if one.fixed is None else one.fixed,
            "newly made": "" if one.newly_made is None else one.newly_made,
            "decision": " then ".join(one.crowned) or "not promoted",
            "trained": one.recipe,
            "made, UTC": _minute(one.made),
        }
        for one in reversed(list(summaries))
    ]


def _minute(time: str) -> str:
    """Write an ISO 8601 time in UTC as `2026-01-31 07:05`."""
    return time[:16].replace("T", " ")


def _standing(version: int, card: dict[str, Any], crowned: tuple[str, ...], *, champion: bool) -> VersionSummary:
    figures, decision, recipe = card["figures"], card["decision"], card["recipe"]
    return VersionSummary(
        version=version,
        made=card["made"],
        recipe=f"{recipe['network']}, {recipe['epochs']} epochs",
        accuracy=figures["accuracy"],
        interval=tuple(figures["interval"]),
        errors=figures["errors"],
        fixed=decision["fixed"],
        newly_made=decision["made"],
        champion=champion,
        crowned=crowned,
    )


def _crownings(history: Iterable[dict[str, Any]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    told = {PROMOTION: PROMOTED, ROLLBACK: ROLLED_BACK}
    for event in history:
        if event["event"] in told:
            found.setdefault(event["version"], []).append(told[event["event"]])
    return found
