"""Compare the versions of a store: a table of the newest ones, and a plot with promotions and rollbacks."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from artifacts.reports import markdown
from artifacts.store.records import Event
from artifacts.store.store import PROMOTION, PROMOTION_EVENTS, ROLLBACK, Store
from schemas.errors import StoreError
from schemas.recipe import PRESETS

MAX_ROWS = 20
MAX_EVENTS = 500
"""Number of the newest events to search for promotions: reading all of a long history takes time."""
ROLLED_BACK = "rolled back to"
HISTORY = "history"
"""The name of the plot that the report refers to."""


class VersionSummary(NamedTuple):
    """A version's accuracy with its interval, the events that made it the champion, and its row of the leaderboard."""

    version: int
    accuracy: float
    interval: tuple[float, float]
    is_champion: bool
    promotions: list[str]
    row: dict[str, str | int]


def summaries(store: Store, history: Sequence[Event]) -> list[VersionSummary]:
    """Summarize the newest versions whose cards can be read, the oldest first."""
    champion, versions = store.champion(), []
    for version in store.versions()[-MAX_ROWS:]:
        with contextlib.suppress(StoreError, KeyError, TypeError):  # `verify` reports a damaged card
            versions.append(_summary(store.card(version), version, history, is_champion=version == champion))
    return versions


def _summary(card: dict[str, Any], version: int, history: Sequence[Event], *, is_champion: bool) -> VersionSummary:
    words = {PROMOTION: "promoted", ROLLBACK: ROLLED_BACK}
    promotions = [words[e["event"]] for e in history if e["version"] == version and e["event"] in words]
    metrics, decision = card["figures"], card["decision"]
    row = {
        "version": version,
        "in use": "champion" if is_champion else "",
        "made, UTC": _minute(card["made"]),
        "accuracy": f"{metrics['accuracy']:.2%}",
        "mistakes": metrics["errors"],
        "fixed": "" if decision["fixed"] is None else decision["fixed"],
        "newly made": "" if decision["made"] is None else decision["made"],
        "decision": " then ".join(promotions) or "not promoted",
        "trained": f"{_recipe(card)} on {card['data']['name']}",
    }
    return VersionSummary(version, metrics["accuracy"], metrics["interval"], is_champion, promotions, row)


def _recipe(card: dict[str, Any]) -> str:
    """Format a recipe as the most similar preset and the fields that differ, `fast cnn, epochs 3`, or as its file."""
    fields, name = card["recipe"], card.get("recipe_name", "")  # cards had no names before there were files
    network, texts = fields["network"], []
    if name and name not in PRESETS:
        return f"{name} {network}"
    for preset, (_, recipes, _) in PRESETS.items():
        expected = recipes[network].model_dump(mode="json") if network in recipes else {}
        changed = {name: value for name, value in fields.items() if name != "network" and expected.get(name) != value}
        texts.append((len(changed), ", ".join([f"{preset} {network}", *(f"{n} {v}" for n, v in changed.items())])))
    return min(texts)[1].replace("_", " ")


def history_report(history: Sequence[Event], address: markdown.Address) -> str:
    """Write the report with the plot and the last promotions and rollbacks, the newest first."""
    promotions = [event for event in reversed(history) if event["event"] in PROMOTION_EVENTS]
    rows = [[_minute(event["time"]), str(event["version"]), event["event"], event["reason"]] for event in promotions]
    table = markdown.table(["time, UTC", "version", "what", "why"], rows[:MAX_ROWS], left=4) if rows else "None so far."
    return (
        f"# Accuracy over versions\n\n![Accuracy of each version, champions marked]({address(HISTORY)})\n\n"
        f"## Promotions and rollbacks\n\n{table}\n"
    )


def _minute(time: str) -> str:
    """Format an ISO 8601 time in UTC as `2026-01-31 07:05`."""
    return time[:16].replace("T", " ")
