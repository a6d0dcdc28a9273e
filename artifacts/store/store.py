"""The store of versions: a log of decisions, and a folder for each version.

`docs/reference/store.md` describes the files, `docs/explanation/store.md` how several writers work without locks:
creating the next event publishes a version and makes the decision in one step.
"""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from artifacts.files import checksums, differences, temporary_folder
from artifacts.store import layout
from artifacts.store.exports import Exports
from artifacts.store.folder_storage import DAY
from artifacts.store.history import History, new_event
from artifacts.store.layout import AUDITS, CLAIMS, EXPORTS, HISTORY, INPUTS, QUARANTINE, REVIEW, VERSIONS, WORK
from artifacts.store.records import CardFile, Event, State, parse
from artifacts.store.storage import storage_at
from artifacts.uri import disk_errors, error_reason
from schemas.errors import InputError, StorageError, StoreError

CARD, MODEL = "card.json", "model.keras"
PROMOTION, ROLLBACK, DECISION = "promotion", "rollback", "decision"
PROMOTION_EVENTS = (PROMOTION, ROLLBACK)
MAX_LISTED = 5
RECENT_EVENTS = 100
"""Number of the newest events that are checked for damage whenever a store is opened."""
NOT_OURS = "a version can't be copied into a store; use it in its own, with --store"
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
REPORTED = ".reported"
"""A file in the folder of a version whose report is in Prefect."""


class Store:
    """A store at a path or URI; nothing is created before the first write."""

    def __init__(self, uri: str | Path) -> None:
        self.uri = str(uri)
        self._root = storage_at(uri)
        self._versions = self._root.child(VERSIONS)
        self._claims = self._root.child(CLAIMS)
        self._history = History(self._root.child(HISTORY))
        self._verified: set[int] = set()
        self.exports = Exports(self._root.child(EXPORTS))
        self.quarantine = self._root.child(QUARANTINE)
        self.audits = self._root.child(AUDITS)
        self.review = self._root.child(REVIEW)
        self.inputs = self._root.child(INPUTS)
        self.work = self._root.child(WORK)
        self.shards = storage_at(f"{self.work}/shards", keep_copies=True)

    def check_writable(self) -> None:
        """Raise InputError if no version or event can be written; leave nothing behind."""
        for storage in (self._versions, self._root.child(HISTORY)):
            storage.check_writable()
        self._check_layout()

    def state(self) -> State:
        """Return the state after the newest event."""
        self._check_layout()
        return self._history.newest()[0]

    def history(self, limit: int | None = None) -> list[Event]:
        """Return the newest `limit` events, or all, the oldest first: decisions, promotions and rollbacks."""
        self._check_layout()
        return self._history.events(limit)

    def champion(self) -> int | None:
        return self.state().champion

    def resolve_version(self, version: int = 0) -> int:
        """Return a version, or for 0 the champion; raise StoreError if there is none."""
        number = version or self.champion()
        if number is not None:
            return number
        if self.versions():
            raise StoreError(f"{self.uri}: there is no champion; choose a version with --version")
        raise StoreError(f"{self.uri}: there are no versions; train one, or check --store")

    def versions(self) -> list[int]:
        """Return the numbers of all versions, ascending; a folder that was copied here later isn't one."""
        newest = self.state().last_version
        self._write_newest_card()
        return [number for number in self._folders_with(CARD) if number <= newest]

    def ignored(self) -> list[str]:
        """Describe what this store ignores: damaged files, and events and versions of other stores."""
        self.history(RECENT_EVENTS)
        versions, lines = self.versions(), [*self._history.ignored.values()]
        for number in self._folders_with(CARD):
            try:
                self.card(number)
                if number not in versions:
                    lines.append(
                        f"version {number}: not in this store's history: its event is damaged, or it was copied here"
                    )
            except StoreError as error:
                lines.append(str(error))
        return [f"{line}; ignored" for line in lines]

    def version_uri(self, version: int) -> str:
        return str(self._versions.child(str(version)))

    def local_dir(self, version: int, *, fresh: bool = False) -> Path:
        """Return the path of a version's folder, or of its copy on this machine, downloaded again if `fresh`."""
        try:
            return self._versions.local_dir(str(version), fresh=fresh)
        except FileNotFoundError:
            raise StoreError(f"{self.uri}: there is no version {version}") from None
        except OSError as error:
            raise StoreError(f"version {version}: can't be downloaded ({error_reason(error)})") from error

    def verified_dir(self, version: int) -> Path:
        """Verify a version's files, once per Store object, and return `local_dir`; raise StoreError for any fault."""
        if version not in self._verified:
            self.check_intact(version)
        return self.local_dir(version)

    def card(self, version: int) -> dict[str, Any]:
        """Return a version's card; raise StoreError if there is none, it is damaged, or of another store."""
        self._check_layout()
        folder = self._versions.child(str(version))
        try:
            if CARD not in folder.names():
                self._write_newest_card()
            card = parse(CardFile, folder.read(CARD))
        except FileNotFoundError:
            raise StoreError(f"{self.uri}: there is no version {version}; {self._known_versions()}") from None
        except (StorageError, ValueError) as error:
            raise StoreError(f"version {version}: {CARD} can't be read ({error})") from error
        if card.get("store", self.id) != self.id:
            raise StoreError(f"version {version}: of another store, whose id is {card['store']}; {NOT_OURS}")
        return card

    def _known_versions(self) -> str:
        versions = self.versions()
        newest = ", ".join(map(str, versions[-MAX_LISTED:])) or "none"
        return f"{'newest ' if len(versions) > MAX_LISTED else ''}versions: {newest}"

    def faults(self, version: int) -> list[str]:
        """Return the differences between a version's files, its card and the history; hashes all files."""
        try:
            card = self.card(version)
            faults = self._differences(version, card)
        except StoreError as error:
            return [str(error)]
        except OSError as error:
            faults = [f"{error.filename} can't be read ({error_reason(error)}); give this user access"]
        if not faults:
            self._verified.add(version)
        elif CARD not in self._versions.child(str(version)).names():  # which goes first
            faults = ["was removed meanwhile, as it is older than the versions to --keep; choose another one"]
        return [f"version {version}: {fault}" for fault in faults]

    def _differences(self, version: int, card: dict[str, Any]) -> list[str]:
        digests = checksums(self.local_dir(version, fresh=True))
        expected = card["files"]
        digests = {name: one for name, one in digests.items() if name in expected or (name[0] != "." and name != CARD)}
        faults = [f"the card is that of version {card['version']}"] if card["version"] != version else []
        faults += self._card_faults(version, card)
        return faults + differences(digests, expected, "on its card")

    def check_intact(self, version: int) -> None:
        """Raise StoreError, listing every fault, unless a version's files are unchanged."""
        if faults := self.faults(version):
            raise StoreError("; ".join(faults))

    def find_by_fingerprint(self, fingerprint: str) -> int | None:
        """Return the newest intact version with a fingerprint, or None."""
        for version in reversed(self.versions()):
            with contextlib.suppress(StoreError):
                if self.card(version).get("fingerprint") == fingerprint:
                    self.verified_dir(version)
                    return version
        return None

    def unreported(self) -> list[int]:
        """Return the versions whose reports aren't in Prefect yet, ascending."""
        return sorted({*self.versions()} - {*self._folders_with(REPORTED)})

    def mark_reported(self, version: int) -> None:
        self._versions.child(str(version)).create(REPORTED, b"")

    @contextlib.contextmanager
    def new_version(self) -> Iterator[tuple[int, Path]]:
        """Claim the next number; yield it and an empty folder for the files to publish."""
        number, taken = self.state().last_version + 1, {*self._versions.names()}
        self._create_layout()
        while str(number) in taken or not self._claims.create(str(number), uuid.uuid4().hex.encode()):
            number += 1
        with disk_errors(self.version_uri(number)), temporary_folder(self._versions.scratch()) as folder:
            yield number, folder

    def publish(self, number: int, folder: Path, card: dict[str, Any], keep: int) -> bool:
        """Publish a folder as the version of a claimed number and record the decision on its card, in one step.

        Returns False and publishes nothing if another event follows the decision's `after_event`: the candidate has to
        be compared again. Removes all versions but the newest `keep`, the champions that the state names.
        """
        card["store"] = self.id
        state, decision = self.state(), card["decision"]
        if state.event != decision["after_event"] or number <= state.last_version:
            return False
        self._versions.add_folder(folder, str(number))
        newest = [*self.versions(), number][-keep:]
        after = state.with_decision(number, decision).with_fields(
            last_version=number, oldest_kept=max(state.oldest_kept, newest[0])
        )
        details = {"promoted": decision["promoted"], "accuracy": decision["accuracy"], "card": card}
        event = PROMOTION if decision["promoted"] else DECISION
        if not self._append(event, number, card["run"], decision["reason"], after, **details):
            self._versions.remove_folder(str(number))
            return False
        self._write_newest_card()
        self._remove_work(card)
        self._remove_unused_versions()
        return True

    def promote(self, version: int, *, replaced: int | None, run: str, reason: str) -> None:
        """Promote a version to champion; raise StoreError if it isn't intact, or `replaced` isn't the champion."""
        self.check_intact(version)
        while True:
            state = self.state()
            if state.champion == version:
                raise StoreError(f"version {version} is the champion already")
            if state.champion != replaced:
                raise StoreError(f"version {state.champion} has become the champion meanwhile, in place of {replaced}")
            if not state.is_kept(version):
                raise StoreError(f"version {version} is being removed, as it is older than the versions to --keep")
            event = ROLLBACK if replaced is not None and version < replaced else PROMOTION
            if self._append(event, version, run, reason, state.with_champion(version)):
                return

    def recover(self) -> Self:
        """Complete the unfinished writes of killed processes, remove their leftovers, and return the store."""
        self._write_newest_card()
        self._remove_unused_versions()
        for version in self.unreported():  # the work of reported versions is removed already
            with contextlib.suppress(StoreError):
                self._remove_work(self.card(version))
        self._root.tidy(DAY)
        folders = (HISTORY, VERSIONS, CLAIMS, WORK, QUARANTINE, AUDITS, REVIEW, INPUTS)
        for name in (*folders, *(f"{VERSIONS}/{n}" for n in self.versions())):
            self._root.child(name).tidy(DAY)
        self.exports.tidy(self.versions, DAY)
        return self

    def _append(self, event: str, version: int, run: str, reason: str, state: State, **details: object) -> bool:
        """Create the event that follows a state; return False if it exists already."""
        self._write_newest_card()
        content = new_event(event, version, run, reason, store=self.id, **details)
        return self._history.append(content, state.with_fields(event=state.event + 1))

    def _write_newest_card(self) -> None:
        """Write the card of the version that the newest event published, unless it exists."""
        _, event = self._history.newest()
        if card := event.get("card"):
            folder = self._versions.child(str(event["version"]))
            names = folder.names()
            if names and CARD not in names:  # a folder that a user removed isn't created again
                folder.create(CARD, f"{json.dumps(card, indent=2)}\n".encode())

    def _card_faults(self, version: int, card: dict[str, Any]) -> list[str]:
        """Compare a card with the event that published it; migrated versions have no such event."""
        after = (card.get("decision") or {}).get("after_event")
        if after is None and version <= self.state().last_version:
            return []
        number = after + 1 if isinstance(after, int) else 0  # of which there is no event
        event = self._history.read(number) or {}
        if number in self._history.ignored:
            return [self._history.ignored[number]]
        return [] if json.dumps(event.get("card")) == json.dumps(card) else [f"{CARD} differs from the history"]

    def _folders_with(self, name: str) -> list[int]:
        paths = (path.split("/") for path in self._versions.sizes())
        return sorted(int(folder) for folder, *rest in paths if rest == [name] and folder.isdecimal())

    def _remove_unused_versions(self) -> None:
        """Remove versions that aren't kept, the card first, and folders that can no longer become versions."""
        state, versions = self.state(), self.versions()
        for version in (int(name) for name in self._versions.names() if name.isdecimal()):
            if version < state.last_version and not (version in versions and state.is_kept(version)):
                with contextlib.suppress(InputError):  # leftovers do no harm
                    self._remove_version(version)

    def _remove_version(self, version: int) -> None:
        """Remove a version, unless it is of another store: nobody asked to remove that."""
        folder = self._versions.child(str(version))
        with contextlib.suppress(FileNotFoundError, ValueError):
            if parse(CardFile, folder.read(CARD)).get("store", self.id) != self.id:
                return
        folder.remove(CARD)
        self.exports.remove(version)
        self._versions.remove_folder(str(version))

    def _remove_work(self, card: dict[str, Any]) -> None:
        """Remove the checkpoints of a published training, unless its card names something else than a fingerprint."""
        fingerprint = str(card.get("fingerprint"))
        if FINGERPRINT.fullmatch(fingerprint):
            with contextlib.suppress(InputError):  # leftovers do no harm
                self.work.remove_folder(fingerprint)

    @property
    def id(self) -> str:
        """The store's id; "" if it has none yet, so that everything counts as its own."""
        self._check_layout()
        return self._history.store or ""

    def _create_layout(self) -> None:
        """Create `store.json` for a new store; if it was lost, with the id that the events have."""
        if self._history.store is None:
            known = self._history.newest()[1].get("store")
            layout.create(self._root, known or uuid.uuid4().hex)
            self._check_layout()

    def _check_layout(self) -> None:
        """Raise StoreError for a store of another layout."""
        if self._history.store is None:
            self._history.store = layout.read_id(self._root)
