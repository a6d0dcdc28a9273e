"""The history of a store: one object per event, such as `000012.json`, never changed, numbered without gaps.

`newest` holds the possibly outdated number of the newest event. It saves listing all events; later events are looked
up by their numbers. A damaged event, one of another store or a copy under another number keeps its file and that file's
number, and is ignored: the state after it is that before it.
"""

from __future__ import annotations

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from artifacts.store.records import Event, EventFile, State, parse
from artifacts.store.storage import Storage
from schemas.errors import InputError
from schemas.text import printable

HINT, SUFFIX = "newest", ".json"


class History:
    """Reads and appends the events of the store with the id `store`; None if it has none yet, or it isn't read."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.store: str | None = None
        self.ignored: dict[int, str] = {}
        """Why events that were read are ignored, by their numbers."""

    def newest(self) -> tuple[State, Event]:
        """Return the state after the newest event, and the newest intact event; an empty event if there is none."""
        number, event = self._start()
        while (later := self.read(number + 1)) is not None:
            number, event = number + 1, later or event
        state = State.model_validate(event["state"]) if event else State()
        return state.with_fields(event=number), event

    def _start(self) -> tuple[int, Event]:
        """Return an intact event that isn't far from the newest one, and its number."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            number = int(self._storage.read(HINT))
            if event := self.read(number):
                return number, event
        for number in sorted(map(_number, self._storage.names()), reverse=True):
            if event := self.read(number):
                return number, event
        return 0, {}

    def read(self, number: int) -> Event | None:
        """Return an event, {} if it is ignored, or None if there is none of that number."""
        if number < 1:
            return None
        try:
            event = parse(EventFile, self._storage.read(_name(number)))
            if self.store and event.get("store", self.store) != self.store:
                reason = f"of another store, whose id is {event['store']}"
            elif event.get("number", number) != number:
                reason = f"a copy of event {event['number']}"
            else:
                return event
        except FileNotFoundError:
            return None
        except ValueError as error:
            reason = f"not an event ({error})"
        self.ignored[number] = f"{self._storage.child(_name(number))}: {reason}; restore it from a backup"
        return {}

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
            return [event for event in pool.map(self.read, range(first, number + 1)) if event]


def new_event(event: str, version: int | None, run: str, reason: str, **details: object) -> Event:
    """Return an event with the current time."""
    time = datetime.now(tz=UTC).isoformat(timespec="milliseconds")
    texts = {"run": printable(run), "reason": printable(reason)}
    return {"time": time, "event": event, "version": version, **texts, **details}


def _content(event: Event, state: State) -> bytes:
    after = state.model_dump(exclude={"event"})
    return f"{json.dumps({**event, 'number': state.event, 'state': after}, indent=1)}\n".encode()


def _name(number: int) -> str:
    return f"{number:06}{SUFFIX}"


def _number(name: str) -> int:
    stem = name.removesuffix(SUFFIX)
    return int(stem) if name.endswith(SUFFIX) and stem.isdecimal() else 0
