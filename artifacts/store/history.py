"""The history of a store: one object per event, such as `000012.json`, never changed, numbered without gaps.

`newest` holds the possibly outdated number of the newest event. It saves listing all events; later events are looked
up by their numbers.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NamedTuple

from artifacts.store.storage import Storage
from schemas.errors import InputError, StoreError
from schemas.text import printable

HINT, SUFFIX = "newest", ".json"

Event = dict[str, Any]


class State(NamedTuple):
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

    def with_champion(self, version: int) -> State:
        """Return the state with a version as the champion, promoted by hand."""
        return self._replace(champion=version, previous_champion=self.champion, best_champion=version)

    def with_decision(self, version: int, decision: Mapping[str, Any]) -> State:
        """Return the state with the gate's decision on a version."""
        if not decision["promoted"]:
            return self._replace(refusals=self.refusals + decision["counts"])
        best = version if decision["is_proven"] or decision["forced"] else self.best_champion or self.champion
        refusals = 0 if decision["is_proven"] else self.refusals
        return self.with_champion(version)._replace(best_champion=best, refusals=refusals)

    def is_kept(self, version: int) -> bool:
        """Return whether a version is kept, and so may be promoted."""
        return version >= self.oldest_kept or version in (self.champion, self.previous_champion, self.best_champion)


class History:
    """Reads and appends the events of a store."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def newest(self) -> tuple[State, Event]:
        """Return the newest event and the state after it; an empty event if there is none."""
        number = 0
        with contextlib.suppress(FileNotFoundError, ValueError):
            number = int(self._storage.read(HINT))
        event = self.read(number)
        if event is None:  # the hint is wrong, or there is none
            number = max((_number(name) for name in self._storage.names()), default=0)
            event = self.read(number)
        while (later := self.read(number + 1)) is not None:
            number, event = number + 1, later
        return (State(number, **event["state"]), event) if event else (State(), {})

    def read(self, number: int) -> Event | None:
        """Return an event, or None if there is none of that number; raise StoreError if it is damaged."""
        if number < 1:
            return None
        reason = "event and state are needed"
        try:
            event = json.loads(self._storage.read(_name(number)))
            if isinstance(event, dict) and {"event", "state"} <= event.keys():
                return event
        except FileNotFoundError:
            return None
        except ValueError as error:
            reason = str(error)
        raise StoreError(f"{self._storage.child(_name(number))}: not an event ({reason}); restore it from a backup")

    def append(self, event: Event, state: State) -> bool:
        """Create the event with the state after it and return True; return False if another event has its number."""
        if not self._storage.create(_name(state.event), _content(event, state)):
            return False
        with contextlib.suppress(InputError, OSError):  # without the hint, the events are listed
            self._storage.write(HINT, str(state.event).encode())
        return True

    def replace(self, event: Event, state: State) -> None:
        """Create or overwrite an event, while no other process uses the store."""
        self._storage.write(_name(state.event), _content(event, state))

    def events(self, limit: int | None = None) -> list[Event]:
        """Return the newest events, or all, the oldest first."""
        number = self.newest()[0].event
        first = 1 if limit is None else max(number - limit + 1, 1)
        with ThreadPoolExecutor(max_workers=16) as pool:
            return [event for event in pool.map(self.read, range(first, number + 1)) if event is not None]


def new_event(event: str, version: int | None, run: str, reason: str, **details: object) -> Event:
    """Return an event with the current time."""
    time = datetime.now(tz=UTC).isoformat(timespec="milliseconds")
    texts = {"run": printable(run), "reason": printable(reason)}
    return {"time": time, "event": event, "version": version, **texts, **details}


def _content(event: Event, state: State) -> bytes:
    after = {name: value for name, value in state._asdict().items() if name != "event"}
    return f"{json.dumps({**event, 'state': after}, indent=1)}\n".encode()


def _name(number: int) -> str:
    return f"{number:06}{SUFFIX}"


def _number(name: str) -> int:
    stem = name.removesuffix(SUFFIX)
    return int(stem) if name.endswith(SUFFIX) and stem.isdecimal() else 0
