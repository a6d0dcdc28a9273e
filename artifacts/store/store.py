"""The store: numbered versions, each complete or absent and never changed, and which of them is in use.

`champion` names the version in use, `history.jsonl` tells how it came to that. Every change is made under one lock, in
one step each; what a killed process left half done is finished or taken away by the next one that settles the store or
changes it.
"""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from artifacts.uri import error_reason
from artifacts.store.storage import DAY, storage_at
from schemas.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CARD, MODEL = "card.json", "model.keras"
PROMOTION, ROLLBACK, DECISION = "promotion", "rollback", "decision"
PROMOTION_EVENTS = (PROMOTION, ROLLBACK)
VERSIONS, WORK, CHAMPION, HISTORY = "versions", "work", "champion", "history.jsonl"
LAST, OWED = ".last", ".unreported-"


class Store:
    """A store of versions at a path or an address; nothing is created before something is kept in it."""

    def __init__(self, path: str | Path) -> None:
        """Name where it is; raise InputError for an address of a kind that no installed package knows."""
        self.path = path
        self._place = storage_at(path)
        self._versions = self._place.child(VERSIONS)
        self._quarantine = self._place.child("quarantine")
        self.work = self._place.child(WORK)
        self.shards = self.work.child("shards").keeping_copies()
        self._check_held: Callable[[], None] = lambda: None

    def check_writable(self) -> None:
        """Raise InputError if a version can't be written; leave nothing behind."""
        self._versions.check_writable()

    def versions(self) -> list[int]:
        """Give the numbers of all versions, ascending."""
        return sorted(int(name) for name in self._versions.names() if name.isdecimal())

    def place(self, version: int) -> str:
        """Tell where a version is, for people."""
        return str(self._versions.child(str(version)))

    def local_dir(self, version: int) -> Path:
        """Give the path of a version's folder, or that of a copy on this machine; raise StoreError if there is none."""
        try:
            return self._versions.local_dir(str(version))
        except FileNotFoundError:
            raise StoreError(f"store {self.path}: there is no version {version}") from None
        except OSError as error:
            raise StoreError(f"version {version}: can't be brought to this machine ({error_reason(error)})") from error

    def card(self, version: int) -> dict[str, Any]:
        """Give a version's card; raise StoreError when it isn't there or can't be read."""
        try:
            card: dict[str, Any] = json.loads(self._versions.child(str(version)).read(CARD))
        except FileNotFoundError:
            carded = [number for number in self.versions() if CARD in self._versions.child(str(number)).names()]
            known = ", ".join(map(str, carded[-5:])) or "none"
            raise StoreError(
                f"store {self.path}: there is no version {version} with a card; there are {known}"
            ) from None
        except (OSError, ValueError) as error:
            raise StoreError(f"version {version}: {CARD} can't be read ({error})") from error
        files = card.get("files") if isinstance(card, dict) else None
        if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
            raise StoreError(f"version {version}: {CARD} isn't whole")
        return card

    def faults(self, version: int) -> list[str]:
        """Tell in what a version's files differ from its card; empty when it is what it was."""
        try:
            card = self.card(version)
        except StoreError as error:
            return [str(error)]
        expected = card["files"]
        found = self._versions.sums(str(version))
        found.pop(CARD)
        faults = [f"the card is that of version {card.get('version')}"] if card.get("version") != version else []
        for name in sorted({*expected, *found}):
            if name not in found:
                faults.append(f"{name} is missing")
            elif name not in expected:
                faults.append(f"{name} doesn't belong to it")
            elif found[name] != expected[name]:
                faults.append(f"{name} was changed: its SHA-256 is {found[name][:12]}…, not {expected[name][:12]}…")
        if not faults and not self._versions.has_dir(str(version)):  # the card itself isn't in its sums
            faults.append(f"{CARD} has another length than when it was put there")
        return [f"version {version}: {fault}" for fault in faults]

    def check_intact(self, version: int) -> None:
        """Raise StoreError, naming every fault, unless a version is what it was when it was published."""
        faults = self.faults(version)
        if faults:
            raise StoreError("; ".join(faults))

    def verified_dir(self, version: int) -> Path:
        """Return the path of a version's folder on this machine; raise StoreError unless its files match its card."""
        self.check_intact(version)
        return self.local_dir(version)

    def find_by_fingerprint(self, fingerprint: str) -> int | None:
        """Give the newest whole version of a fingerprint, if there is one."""
        for version in reversed(self.versions()):
            with contextlib.suppress(StoreError):
                if self.card(version).get("fingerprint") == fingerprint and not self.faults(version):
                    return version
        return None

    @contextlib.contextmanager
    def new_version(self) -> Iterator[tuple[int, Path]]:
        """Give the next number and an empty folder to fill; it becomes that version when the `with` ends well.

        What its card says was decided comes into force with it. Other processes wait meanwhile. A number is never given
        twice, even when its version was removed or came to nothing.
        """
        with self._locked():
            number = max([self._last_number(), *self.versions()]) + 1
            self._check_held()
            self._versions.write(LAST, f"{number}\n".encode())
            self._versions.claim(f"{OWED}{number}")
            with self._versions.new_folder(str(number), self._check_held) as folder:
                yield number, folder
            self.check_intact(number)
            self._carry_out(number)

    def settle(self) -> None:
        """Finish what a killed process left half done: what its version's card says was decided comes into force."""
        if self._versions.names():
            with self._locked():
                pass

    def first_event(self, version: int) -> dict[str, Any]:
        """Give the first line of the history on a version, what became of its candidate; nothing if there is none."""
        return next((event for event in self.history() if event.get("version") == version), {})

    def unreported(self) -> list[int]:
        """Give the versions whose reports aren't in Prefect yet, ascending."""
        owed = {name.removeprefix(OWED) for name in self._versions.names() if name.startswith(OWED)}
        return [version for version in self.versions() if str(version) in owed]

    def mark_reported(self, version: int) -> None:
        """Note that a version's report is in Prefect."""
        self._versions.remove(f"{OWED}{version}")

    @contextlib.contextmanager
    def quarantine(self, run: str) -> Iterator[Path]:
        """Give an empty folder for the rows that a run sets aside; it is there when the `with` ends well."""
        with self._quarantine.new_folder(run) as folder:
            yield folder

    def quarantine_uri(self, run: str) -> str:
        """Return the URI of the rows that a run has quarantined."""
        return str(self._quarantine.child(run))

    def champion(self) -> int | None:
        """Give the version in use."""
        crowned = self._crowned()
        return None if crowned is None else int(crowned["version"])

    def resolve_version(self, version: int | None = None) -> int:
        """Give a version that was named, or the one in use; raise StoreError if there is none."""
        meant = self.champion() if version is None else version
        if meant is None:
            raise StoreError(f"store {self.path}: there is no champion; --version names a version")
        return meant

    def previous_champion(self) -> int | None:
        """Give the version that was in use before the one that is."""
        crowned = self._crowned()
        return None if crowned is None else crowned.get("over")

    def history(self) -> list[dict[str, Any]]:
        """Give every decision, promotion and rollback, the oldest first."""
        return self._told() + self._untold()

    def refusals(self) -> int:
        """Count the candidates that were refused since the champion came into force."""
        champion, count = self.champion(), 0
        for event in self.history():
            count = 0 if event["event"] in PROMOTION_EVENTS else count + (event.get("champion") == champion)
        return count

    def promote(self, version: int, *, over: int | None, run: str, reason: str, event: str = PROMOTION) -> None:
        """Make a version the champion; raise StoreError if it isn't whole, or if `over` is no longer the champion."""
        with self._locked():
            self.check_intact(version)
            champion = self.champion()
            if champion == version:
                raise StoreError(f"version {version} is the champion already")
            if champion != over:
                raise StoreError(f"version {champion} has become the champion meanwhile, in place of {over}")
            self._crown(self._event(event, version, run, reason, over=over))

    def prune(self, keep: int) -> list[int]:
        """Remove the oldest versions but so many, never the champion, the one before it, or the newest; give them."""
        with self._locked():
            versions = self.versions()
            spared = {self.champion(), self.previous_champion(), *versions[-max(keep, 1) :]}
            removed = [version for version in versions if version not in spared]
            for version in removed:
                self._check_held()
                self._versions.remove_folder(str(version))
            return removed

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the store's lock, which ends with its process, and put right what a killed one left."""
        with self._place.locked() as self._check_held:
            self._sweep()
            for event in self._untold():
                self._tell(event)
            last = self._last_told()
            for version in self.versions():
                if version > last and not self.faults(version):
                    self._carry_out(version)
            yield

    def _carry_out(self, version: int) -> None:
        """Bring what a version's card says was decided into force and into the history; a card may say nothing.

        Its checkpoints aren't needed any more. They go first: a version in the history is done with.
        """
        card = self.card(version)
        decision = card.get("decision")
        if not isinstance(decision, dict) or not {"promoted", "reason", "champion", "accuracy"} <= set(decision):
            return
        self._remove_work(str(card.get("fingerprint")))
        run, reason, over = str(card.get("run")), decision["reason"], decision["champion"]
        if decision["promoted"] and self.champion() == over:
            self._crown(self._event(PROMOTION, version, run, reason, over=over))
        else:
            figures = {"promoted": False, "accuracy": decision["accuracy"], "champion": over}
            self._tell(self._event(DECISION, version, run, reason, **figures))

    def _remove_work(self, fingerprint: str) -> None:
        """Remove the checkpoints of a training that is published; a card may be touched, and name another folder."""
        self._check_held()
        if fingerprint.isalnum():
            with contextlib.suppress(OSError):  # they do no harm
                self.work.remove_folder(fingerprint)
        self._place.remove_empty(WORK)

    def _crown(self, crowned: dict[str, Any]) -> None:
        self._check_held()
        self._place.write(CHAMPION, f"{json.dumps(crowned)}\n".encode())
        self._tell(crowned)

    def _tell(self, event: dict[str, Any]) -> None:
        self._check_held()
        self._place.append(HISTORY, json.dumps(event))

    def _crowned(self) -> dict[str, Any] | None:
        try:
            crowned: dict[str, Any] = json.loads(self._place.read(CHAMPION))
            int(crowned["version"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            # Damaged: the history knows as well, and the next promotion writes it anew.
            return next((event for event in reversed(self._told()) if event.get("event") in PROMOTION_EVENTS), None)
        return crowned

    def _told(self) -> list[dict[str, Any]]:
        try:
            lines = self._place.read(HISTORY).split(b"\n")[:-1]
            return [json.loads(line) for line in lines]
        except FileNotFoundError:
            return []
        except ValueError as error:
            place = self._place.child(HISTORY)
            raise StoreError(f"{place}: a line isn't JSON ({error}); mend or remove it") from error

    def _last_told(self) -> int:
        """Give the newest version that the history names, if only as the champion before, or that of a candidate."""
        named = (event.get(role) for event in self._told() for role in ("version", "over", "champion"))
        return max(filter(None, named), default=0)

    def _untold(self) -> list[dict[str, Any]]:
        """Give the promotion that isn't in the history, if its process was killed before it could write that."""
        crowned = self._crowned()
        return [] if crowned is None or crowned in self._told() else [crowned]

    @staticmethod
    def _event(event: str, version: int, run: str, reason: str, **figures: object) -> dict[str, Any]:
        time = datetime.now(tz=UTC).isoformat(timespec="milliseconds")
        return {"time": time, "event": event, "version": version, "run": run, "reason": reason, **figures}

    def _last_number(self) -> int:
        try:
            return int(self._versions.read(LAST))
        except (FileNotFoundError, ValueError):
            return 0

    def _sweep(self) -> None:
        """Remove what killed processes left; whoever holds the lock knows that nobody is writing.

        The quarantine is written without it.
        """
        for place, names in ((self._versions, (LAST,)), (self._place, (CHAMPION,)), (self.work, ())):
            self._check_held()
            place.tidy(*names)
        versions = self.versions()
        for name in self._versions.names():
            if name.startswith(OWED) and name.removeprefix(OWED) not in map(str, versions):
                self._check_held()
                self._versions.remove(name)
        self._quarantine.tidy(idle_seconds=DAY)
