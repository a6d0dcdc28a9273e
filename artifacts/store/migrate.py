"""Move a store that an earlier release made to today's layout: `python -m artifacts.store.migrate STORE`.

No run may use the store meanwhile. Versions, champion and history stay as they are. What the earlier release needs is
removed last, so that after a kill the same command finishes the work.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

from artifacts.files import sums
from artifacts.store.history import History, State, new_event
from artifacts.store.locate import storage_at
from artifacts.store.store import (
    CARD,
    DECISION,
    HISTORY,
    LAYOUT_FILE,
    PROMOTION,
    PROMOTION_EVENTS,
    QUARANTINE,
    REPORTED,
    VERSIONS,
    WORK,
    Store,
    layout,
)
from schemas.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifacts.store.history import Event
    from artifacts.store.storage import Storage

OLD_CHAMPION, OLD_HISTORY, OLD_LAST = "champion", "history.jsonl", ".last"
UNREPORTED, INCOMPLETE, COMPLETE = ".unreported-", ".new-", ".whole-"
LOCK, LEASE = ".lock", ".lease"


def main() -> None:
    """Migrate the store that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m artifacts.store.migrate", description="Move an old store.")
    parser.add_argument("store", help="a folder, or an object store's address")
    uri = parser.parse_args().store
    try:
        migrate(uri)
        store = Store(uri)
        summary = f"{len(store.versions())} versions, champion {store.champion()}, {len(store.history())} events"
        sys.stdout.write(f"store {uri}: {summary}\n")
    except InputError as error:
        sys.exit(f"error: {error}")


def migrate(uri: str) -> None:
    """Move a store to today's layout; one that has it already stays as it is."""
    root = storage_at(uri)
    if LAYOUT_FILE not in root.names():
        versions = root.child(VERSIONS)
        if not versions.names():
            raise StoreError(f"store {uri}: there are no versions")
        _remove_incomplete(versions)
        _write_history(root)
        _mark_reported(versions)
        root.create(LAYOUT_FILE, layout())
    _remove_old_files(root)


def _remove_incomplete(versions: Storage) -> None:
    """Remove what an interrupted upload left: it may have a card already."""
    names = {*versions.names()}
    for name in names:
        number = name.removeprefix(INCOMPLETE)
        if number != name and number.isdecimal() and f"{COMPLETE}{number}" not in names:
            versions.child(number).remove(CARD)
            versions.remove_folder(number)


def _write_history(root: Storage) -> None:
    """Write each line of the old history as an event, and one more for the migration."""
    state = State()
    numbers = [*_numbers(root.child(VERSIONS)), _last_number(root.child(VERSIONS))]
    history = History(root.child(HISTORY))
    for event in _old_events(root):
        state = _after(event, state)._replace(event=state.event + 1)
        numbers.append(event["version"])
        history.replace(event, state._replace(last_version=max(numbers)))
    state = state._replace(event=state.event + 1, last_version=max(numbers))
    reason = "moved from the layout of an earlier release"
    history.replace(new_event("migration", state.champion, "migrate", reason), state)


def _old_events(root: Storage) -> Iterator[Event]:
    """Yield the lines of the history, and what a killed process didn't get to write there."""
    events = _lines(root)
    yield from events
    promoted = _old_champion(root)
    if promoted is not None and promoted not in events:
        events.append(promoted)
        yield promoted
    champion = next((event["version"] for event in reversed(events) if event["event"] in PROMOTION_EVENTS), None)
    known = max([0, *(event.get(role) or 0 for event in events for role in ("version", "over", "champion"))])
    for number in _numbers(root.child(VERSIONS)):
        card = _intact_card(root.child(VERSIONS), number) if number > known else {}
        decision = card.get("decision")
        if not isinstance(decision, dict) or not {"promoted", "reason", "champion", "accuracy"} <= set(decision):
            continue
        if decision["promoted"] and decision["champion"] == champion:
            yield new_event(PROMOTION, number, str(card.get("run")), decision["reason"], over=champion)
            champion = number
        else:
            details = {"promoted": False, "accuracy": decision["accuracy"], "champion": decision["champion"]}
            yield new_event(DECISION, number, str(card.get("run")), decision["reason"], **details)


def _after(event: Event, state: State) -> State:
    if event["event"] in PROMOTION_EVENTS:
        return state._replace(champion=event["version"], previous_champion=event.get("over"), refusals=0)
    return state._replace(refusals=state.refusals + (event.get("champion") == state.champion))


def _lines(root: Storage) -> list[Event]:
    try:
        return [json.loads(line) for line in root.read(OLD_HISTORY).split(b"\n")[:-1]]
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise StoreError(f"{root.child(OLD_HISTORY)}: a line isn't JSON ({error}); fix or remove it") from error


def _old_champion(root: Storage) -> Event | None:
    """Return the last promotion, or None where the history has to say it."""
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        promoted: Event = json.loads(root.read(OLD_CHAMPION))
        int(promoted["version"])
        return promoted
    return None


def _numbers(versions: Storage) -> list[int]:
    return sorted(int(name) for name in versions.names() if name.isdecimal())


def _last_number(versions: Storage) -> int:
    with contextlib.suppress(FileNotFoundError, ValueError):
        return int(versions.read(OLD_LAST))
    return 0


def _intact_card(versions: Storage, number: int) -> dict[str, Any]:
    """Return a version's card, empty if the version was damaged."""
    try:
        card: dict[str, Any] = json.loads(versions.child(str(number)).read(CARD))
        digests = {name: digest for name, digest in sums(versions.local_dir(str(number))).items() if name[0] != "."}
        return card if {**card["files"], CARD: digests[CARD]} == digests and card["version"] == number else {}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def _mark_reported(versions: Storage) -> None:
    names = versions.names()
    for number in _numbers(versions):
        if f"{UNREPORTED}{number}" not in names:
            versions.child(str(number)).create(REPORTED, b"")


def _remove_old_files(root: Storage) -> None:
    for name in (OLD_CHAMPION, OLD_HISTORY, LOCK):
        root.remove(name)
    root.remove_folder(LEASE)
    work = root.child(WORK)
    for storage in (root.child(VERSIONS), root.child(QUARANTINE), work, work.child("shards")):
        for name in storage.names():
            if name == OLD_LAST or name.startswith((UNREPORTED, INCOMPLETE, COMPLETE)):
                with contextlib.suppress(OSError):  # a temporary folder on a disk, which `settle` removes
                    storage.remove(name)


if __name__ == "__main__":
    main()
