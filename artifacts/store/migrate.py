"""Migrate a store of layout 1, which was used before 0.1.0, to layout 2: `python -m artifacts.store.migrate STORE`.

No run may use the store meanwhile. Versions, champion and history stay as they are. The files of layout 1 are removed
last, so that the same command can be repeated after a kill.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import uuid
from typing import Any

from artifacts.files import checksums
from artifacts.store import layout, store
from artifacts.store.history import History, new_event
from artifacts.store.records import CardFile, Event, OldEvent, State, parse
from artifacts.store.storage import Storage, storage_at
from schemas.errors import InputError, StoreError

OLD_LAST = ".last"
DAMAGED = "damaged-history.jsonl"
"""A file with the lines of layout 1 that can't be used: nothing is thrown away."""
UNREPORTED, INCOMPLETE, COMPLETE = ".unreported-", ".new-", ".whole-"


def main() -> None:
    """Migrate the store that the command line names."""
    command = "python -m artifacts.store.migrate"
    parser = argparse.ArgumentParser(prog=command, description="Migrate a store of layout 1.")
    parser.add_argument("store", help="a folder, or an object store's address")
    uri = parser.parse_args().store
    try:
        for line in migrate(uri):
            sys.stderr.write(f"{line}\n")
        result = store.Store(uri)
        summary = f"{len(result.versions())} versions, champion {result.champion()}, {len(result.history())} events"
        sys.stdout.write(f"{uri}: {summary}\n")
    except InputError as error:
        sys.exit(f"error: {error}")


def migrate(uri: str) -> list[str]:
    """Migrate a store to layout 2, and describe what can't be used; a store that has it already stays as it is."""
    root, damage = storage_at(uri), list[str]()
    versions = root.child(layout.VERSIONS)
    if layout.LAYOUT_FILE not in root.names():
        names = {*versions.names()}
        if not names:
            raise StoreError(f"{uri}: there are no versions")
        for name in names:
            number = name.removeprefix(INCOMPLETE)
            if name != number and number.isdecimal() and f"{COMPLETE}{number}" not in names:
                versions.child(number).remove(store.CARD)  # an interrupted upload
                versions.remove_folder(number)
        damage = _write_history(root, versions)
        for version in _numbers(versions):
            if f"{UNREPORTED}{version}" not in names:
                versions.child(str(version)).create(store.REPORTED, b"")
        layout.create(root, uuid.uuid4().hex)
    _remove_old_files(root)
    return damage


def _write_history(root: Storage, versions: Storage) -> list[str]:
    """Write each event of the old history with the state after it, then an event for the migration."""
    numbers, (events, damage) = _numbers(versions), _old_events(root)
    events += _unrecorded_events(versions, numbers, events)
    state = State(last_version=max([_last_number(versions) or 0, *numbers, *(event["version"] for event in events)]))
    history = History(root.child(layout.HISTORY))
    for number, event in enumerate(events, 1):
        if event["event"] in store.PROMOTION_EVENTS:
            state = state.with_fields(champion=event["version"], previous_champion=event.get("over"), refusals=0)
        elif event.get("champion") == state.champion:
            state = state.with_fields(refusals=state.refusals + 1)
        state = state.with_fields(event=number)
        history.replace(event, state)
    migration = new_event("migration", state.champion, "migrate", "migrated from layout 1")
    history.replace(migration, state.with_fields(event=len(events) + 1))
    return damage


def _old_events(root: Storage) -> tuple[list[Event], list[str]]:
    """Return the old history, and descriptions of lines that can't be used, which are kept in a file of their own.

    If a kill left it out, the promotion from the champion's file is added.
    """
    events, damaged, descriptions = list[Event](), list[bytes](), list[str]()
    for name, end in ((layout.OLD_HISTORY, -1), (layout.OLD_CHAMPION, None)):
        lines = root.read(name).split(b"\n")[:end] if name in root.names() else []
        for line in filter(bytes.strip, lines):
            try:
                event = parse(OldEvent, line)
                events += [event] if event not in events else []
            except ValueError as error:
                damaged.append(line)
                descriptions.append(f"{root.child(name)}: not an event ({error}); kept in {root.child(DAMAGED)}")
    if damaged:
        root.write(DAMAGED, b"\n".join([*damaged, b""]))
    return events, descriptions


def _unrecorded_events(versions: Storage, numbers: list[int], events: list[Event]) -> list[Event]:
    """Return the decisions from the cards of versions that were published but not recorded because of a kill."""
    champion = next((event["version"] for event in reversed(events) if event["event"] in store.PROMOTION_EVENTS), None)
    newest = max([0, *(event.get(role) or 0 for event in events for role in ("version", "over", "champion"))])
    decisions = []
    for number in (number for number in numbers if number > newest):
        card = _intact_card(versions, number)
        decision = card.get("decision")
        if not isinstance(decision, dict) or not {"promoted", "reason", "champion", "accuracy"} <= set(decision):
            continue
        event, details = store.DECISION, {key: decision[key] for key in ("accuracy", "champion")} | {"promoted": False}
        if decision["promoted"] and decision["champion"] == champion:
            event, details, champion = store.PROMOTION, {"over": champion}, number
        decisions.append(new_event(event, number, str(card.get("run")), decision["reason"], **details))
    return decisions


def _numbers(versions: Storage) -> list[int]:
    """Return the numbers of the versions that this store has made, ascending; others have a higher number."""
    last, paths = _last_number(versions), (path.split("/") for path in versions.sizes())
    numbers = sorted(int(folder) for folder, *rest in paths if rest == [store.CARD] and folder.isdecimal())
    return [number for number in numbers if last is None or number <= last]


def _last_number(versions: Storage) -> int | None:
    """Return the last number that was given, if it is known."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return int(versions.read(OLD_LAST))
    return None


def _intact_card(versions: Storage, number: int) -> dict[str, Any]:
    """Return a version's card, or {} if the version is damaged."""
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        card = parse(CardFile, versions.child(str(number)).read(store.CARD))
        digests = {
            name: digest for name, digest in checksums(versions.local_dir(str(number))).items() if name[0] != "."
        }
        if {**card["files"], store.CARD: digests[store.CARD]} == digests and card["version"] == number:
            return card
    return {}


def _remove_old_files(root: Storage) -> None:
    for name in (layout.OLD_CHAMPION, layout.OLD_HISTORY, ".lock"):
        root.remove(name)
    root.remove_folder(".lease")
    for folder in (layout.VERSIONS, layout.QUARANTINE, layout.WORK, f"{layout.WORK}/shards"):
        storage = root.child(folder)
        for name in storage.names():
            if name == OLD_LAST or name.startswith((UNREPORTED, INCOMPLETE, COMPLETE)):
                with contextlib.suppress(InputError):  # a temporary folder on a disk, which `recover` removes
                    storage.remove(name)


if __name__ == "__main__":
    main()
