"""The fields that a store's JSON files need: layout, events with the state after them, and cards.

A file that lacks one, or isn't JSON, is damaged. Other fields are allowed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

Event = dict[str, Any]


class Record(BaseModel):
    """JSON types aren't converted: what is validated is what is used."""

    model_config = ConfigDict(strict=True, frozen=True)


class State(Record):
    """The state of a store after the event with the number `event`; 0 before the first event.

    `best_champion` is the newest champion that was proven better than the one before it, or promoted by hand; None in
    stores of earlier releases. `refusals` counts the refusals since a candidate was last proven better, without those
    that don't count. `last_version` is the newest version's number. Versions below `oldest_kept` are removed, except
    for these three champions.
    """

    event: int = 0
    champion: int | None = None
    previous_champion: int | None = None
    refusals: int = 0
    last_version: int = 0
    oldest_kept: int = 0
    best_champion: int | None = None

    def with_fields(self, **fields: int | None) -> State:
        return self.model_copy(update=fields)

    def with_champion(self, version: int) -> State:
        """Return the state with a version as the champion, promoted by hand."""
        return self.with_fields(champion=version, previous_champion=self.champion, best_champion=version)

    def with_decision(self, version: int, decision: Mapping[str, Any]) -> State:
        """Return the state with the gate's decision on a version."""
        if not decision["promoted"]:
            return self.with_fields(refusals=self.refusals + decision["counts"])
        best = version if decision["is_proven"] or decision["forced"] else self.best_champion or self.champion
        refusals = 0 if decision["is_proven"] else self.refusals
        return self.with_champion(version).with_fields(best_champion=best, refusals=refusals)

    def is_kept(self, version: int) -> bool:
        """Return whether a version is kept, and so may be promoted."""
        return version >= self.oldest_kept or version in (self.champion, self.previous_champion, self.best_champion)


class LayoutFile(Record):
    """`store.json`."""

    layout: int
    id: str = ""


class EventRecord(Record):
    """What all events have."""

    time: str
    event: str
    run: str
    reason: str


class OldEvent(EventRecord):
    """An event of layout 1, a line of its history; `over` is the champion that a promotion replaced."""

    version: int
    over: int | None = None
    champion: int | None = None


class CardMetrics(Record):
    """Metrics on the test rows."""

    accuracy: float
    interval: tuple[float, float]
    errors: int


class CardRows(Record):
    """Numbers of rows."""

    test: int


class CardData(Record):
    """The data that a version was trained on."""

    name: str
    rows: CardRows


class CardDecision(Record):
    """The gate's decision."""

    promoted: bool
    reason: str


class CardFile(Record):
    """`card.json`. `store` is the id of the store; cards of earlier releases lack it, the oldest also the decision."""

    version: int
    made: str
    run: str
    fingerprint: str
    files: dict[str, str]
    figures: CardMetrics
    data: CardData
    recipe: dict[str, Any]
    decision: CardDecision | None = None
    store: str = ""


class InputsFile(Record):
    """A file of `inputs/`: the digest of a run's inputs, the fingerprint that they gave, and the champion meanwhile.

    `queue` is the digest of the review queue's names, if there were corrections, whose images are read from it.
    """

    inputs: str
    fingerprint: str
    champion: int | None
    queue: str


class EventFile(EventRecord):
    """An event such as `000012.json`. `store` is the store's id. Events of earlier releases lack it and `number`."""

    version: int | None
    state: State
    number: int = 0
    card: CardFile | None = None
    store: str = ""


def parse(record: type[Record], content: bytes) -> dict[str, Any]:
    """Return a file's JSON object; raise ValueError, which names the first fault in one line, if it is damaged."""
    try:
        record.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise ValueError(f"{place}: {fault['msg']}" if place else fault["msg"]) from error
    fields: dict[str, Any] = json.loads(content)
    return fields
