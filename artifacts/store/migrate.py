"""Migrate a store of layout 1, which was used before 0.1.0, to layout 2: `python -m artifacts.store.migrate STORE`.

No run may use the store meanwhile. Versions, champion and history stay as they are. The files of layout 1 are removed
last, so that the same command can be repeated after a kill.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from typing import Any

from artifacts.files import checksums
from artifacts.store import store
from artifacts.store.history import Event, History, State, new_event
from artifacts.store.storage import Storage, storage_at
from schemas.errors import InputError, StoreError

OLD_CHAMPION, OLD_HISTORY, OLD_LAST = "champion", "history.jsonl", ".last"
UNREPORTED, INCOMPLETE, COMPLETE = ".unreported-", ".new-", ".whole-"


def main() -> None:
    """Migrate the store that the command line names."""
    command = "python -m artifacts.store.migrate"
    parser = argparse.ArgumentParser(prog=command, description="Migrate a store of layout 1.")
    parser.add_argument("store", help="a folder, or an object store's address")
    uri = parser.parse_args().store
    try:
        migrate(uri)
        moved = store.Store(uri)
        summary = f"{len(moved.versions())} versions, champion {moved.champion()}, {len(moved.history())} events"
        sys.stdout.write(f"{uri}: {summary}\n")
    except InputError as error:
        sys.exit(f"error: {error}")


def migrate(uri: str) -> None:
    """Migrate a store to layout 2; a store that has it already stays as it is."""
    root = storage_at(uri)
    versions = root.child(store.VERSIONS)
    if store.LAYOUT_FILE not in root.names():
        names = {*versions.names()}
        if not names:
            raise StoreError(f"{uri}: there are no versions")
        for name in names:
            number = name.removeprefix(INCOMPLETE)
            if name != number and number.isdecimal() and f"{COMPLETE}{number}" not in names:
                versions.child(number).remove(store.CARD)  # an interrupted upload
                versions.remove_folder(number)
        _write_history(root, versions)
        for version in _numbers(versions):
            if f"{UNREPORTED}{version}" not in names:
                versions.child(str(version)).create(store.REPORTED, b"")
        root.create(store.LAYOUT_FILE, store.new_layout())
    _remove_old_files(root)


def _write_history(root: Storage, versions: Storage) -> None:
    """Write each event of the old history with the state after it, then an event for the migration."""
    numbers, events = _numbers(versions), _old_events(root)
    events += _unrecorded_events(versions, numbers, events)
    with contextlib.suppress(FileNotFoundError, ValueError):
        numbers.append(int(versions.read(OLD_LAST)))
    state = State(last_version=max([*numbers, *(event["version"] for event in events)]))
    history = History(root.child(store.HISTORY))
    for number, event in enumerate(events, 1):
        if event["event"] in store.PROMOTION_EVENTS:
            state = state._replace(champion=event["version"], previous_champion=event.get("over"), refusals=0)
        elif event.get("champion") == state.champion:
            state = state._replace(refusals=state.refusals + 1)
        state = state._replace(event=number)
        history.replace(event, state)
    migration = new_event("migration", state.champion, "migrate", "migrated from layout 1")
    history.replace(migration, state._replace(event=len(events) + 1))


def _old_events(root: Storage) -> list[Event]:
    """Return the old history; if a kill left it out, with the promotion from the champion's file."""
    events: list[Event] = []
    with contextlib.suppress(FileNotFoundError):
        try:
            events = [json.loads(line) for line in root.read(OLD_HISTORY).split(b"\n")[:-1]]
        except ValueError as error:
            raise StoreError(f"{root.child(OLD_HISTORY)}: a line isn't JSON ({error}); fix or remove it") from error
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        promotion = json.loads(root.read(OLD_CHAMPION))
        int(promotion["version"])
        events += [promotion] if promotion not in events else []
    return events


def _unrecorded_events(versions: Storage, numbers: list[int], events: list[Event]) -> list[Event]:
    """Return the decisions from the cards of versions that were published but not recorded because of a kill."""
    champion = next((event["version"] for event in reversed(events) if event["event"] in store.PROMOTION_EVENTS), None)
    newest = max([0, *(event.get(role) or 0 for event in events for role in ("version", "over", "champion"))])
    unrecorded = []
    for number in (number for number in numbers if number > newest):
        card = _intact_card(versions, number)
        decision = card.get("decision")
        if not isinstance(decision, dict) or not {"promoted", "reason", "champion", "accuracy"} <= set(decision):
            continue
        event, details = store.DECISION, {key: decision[key] for key in ("accuracy", "champion")} | {"promoted": False}
        if decision["promoted"] and decision["champion"] == champion:
            event, details, champion = store.PROMOTION, {"over": champion}, number
        unrecorded.append(new_event(event, number, str(card.get("run")), decision["reason"], **details))
    return unrecorded


def _numbers(versions: Storage) -> list[int]:
    return sorted(int(name) for name in versions.names() if name.isdecimal())


def _intact_card(versions: Storage, number: int) -> dict[str, Any]:
    """Return a version's card, or {} if the version is damaged."""
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        card: dict[str, Any] = json.loads(versions.child(str(number)).read(store.CARD))
        digests = {
            name: digest for name, digest in checksums(versions.local_dir(str(number))).items() if name[0] != "."
        }
        if {**card["files"], store.CARD: digests[store.CARD]} == digests and card["version"] == number:
            return card
    return {}


def _remove_old_files(root: Storage) -> None:
    for name in (OLD_CHAMPION, OLD_HISTORY, ".lock"):
        root.remove(name)
    root.remove_folder(".lease")
    for folder in (store.VERSIONS, store.QUARANTINE, store.WORK, f"{store.WORK}/shards"):
        storage = root.child(folder)
        for name in storage.names():
            if name == OLD_LAST or name.startswith((UNREPORTED, INCOMPLETE, COMPLETE)):
                with contextlib.suppress(OSError):  # a temporary folder on a disk, which `recover` removes
                    storage.remove(name)


if __name__ == "__main__":
    main()
