"""The store: a folder of numbered versions, each complete or absent and never changed, and which of them is in use.

`champion` names the version in use, `history.jsonl` tells how it came to that. Every change is made under one lock, in
one step each; what a killed process left half done is finished or taken away by the next one that settles the store or
changes it.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from artifacts.files import TEMPORARY, append_line, new_folder, sums, write_atomically
from schemas.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CARD, MODEL = "card.json", "model.keras"
PROMOTION, ROLLBACK, DECISION = "promotion", "rollback", "decision"
CROWNINGS = (PROMOTION, ROLLBACK)
RETIRED, OWED = ".old-", ".unreported-"
ADDRESS = re.compile(r"\w{2,}:/")
"""What an address such as `s3://bucket` begins with once it is a path; one letter and a colon may be a drive."""


class Store:
    """A store of versions at a path; nothing is created before something is kept in it."""

    def __init__(self, path: Path) -> None:
        """Name the store's folder."""
        self.path = path
        self.work = path / "work"
        self.shards = self.work / "shards"
        self._quarantine = path / "quarantine"
        self._versions = path / "versions"
        self._last = self._versions / ".last"
        self._champion = path / "champion"
        self._history = path / "history.jsonl"
        self._lock = FileLock(path / ".lock", poll_interval=0.01)

    def check_writable(self) -> None:
        """Raise InputError if a version can't be written; leave nothing behind."""
        if ADDRESS.match(str(self.path)):
            address = str(self.path).replace(":/", "://", 1)
            raise InputError(f"store {address}: an address; a folder is needed, one that all machines mount if several")
        folder = self._versions.absolute()
        try:
            while not folder.exists():
                folder = folder.parent
            with tempfile.TemporaryFile(dir=folder):
                return
        except OSError as error:
            raise InputError(
                f"store {self.path}: can't be written ({folder}: {error.strerror}); a folder that can be is needed"
            ) from error

    def versions(self) -> list[int]:
        """Give the numbers of all versions, ascending."""
        names = [entry.name for entry in self._versions.iterdir()] if self._versions.is_dir() else []
        return sorted(int(name) for name in names if name.isdecimal())

    def folder(self, version: int) -> Path:
        """Give the folder of a version."""
        return self._versions / str(version)

    def card(self, version: int) -> dict[str, Any]:
        """Give a version's card; raise StoreError when it isn't there or can't be read."""
        try:
            card: dict[str, Any] = json.loads((self.folder(version) / CARD).read_text())
        except FileNotFoundError:
            carded = [number for number in self.versions() if (self.folder(number) / CARD).exists()]
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
        found = sums(self.folder(version))
        found.pop(CARD)
        faults = [f"the card is that of version {card.get('version')}"] if card.get("version") != version else []
        for name in sorted({*expected, *found}):
            if name not in found:
                faults.append(f"{name} is missing")
            elif name not in expected:
                faults.append(f"{name} doesn't belong to it")
            elif found[name] != expected[name]:
                faults.append(f"{name} was changed: its SHA-256 is {found[name][:12]}…, not {expected[name][:12]}…")
        return [f"version {version}: {fault}" for fault in faults]

    def check_whole(self, version: int) -> None:
        """Raise StoreError, naming every fault, unless a version is what it was when it was published."""
        faults = self.faults(version)
        if faults:
            raise StoreError("; ".join(faults))

    def with_fingerprint(self, fingerprint: str) -> int | None:
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
        self._versions.mkdir(parents=True, exist_ok=True)
        with self._locked():
            number = max([self._last_number(), *self.versions()]) + 1
            write_atomically(self._last, f"{number}\n".encode())
            self._owed(number).touch()
            with new_folder(self.folder(number)) as folder:
                yield number, folder
            self._carry_out(number)

    def settle(self) -> None:
        """Finish what a killed process left half done: what its version's card says was decided comes into force."""
        if self._versions.is_dir():
            with self._locked():
                pass

    def first_told(self, version: int) -> dict[str, Any]:
        """Give the first line of the history on a version, what became of its candidate; nothing if there is none."""
        return next((event for event in self.history() if event.get("version") == version), {})

    def unreported(self) -> list[int]:
        """Give the versions whose reports aren't in Prefect yet, ascending."""
        return [version for version in self.versions() if self._owed(version).exists()]

    def reported(self, version: int) -> None:
        """Note that a version's report is in Prefect."""
        self._owed(version).unlink(missing_ok=True)

    @contextlib.contextmanager
    def quarantine(self, run: str) -> Iterator[Path]:
        """Give an empty folder for the rows that a run sets aside; it is there when the `with` ends well."""
        self._quarantine.mkdir(parents=True, exist_ok=True)
        with new_folder(self.quarantine_folder(run)) as folder:
            yield folder

    def quarantine_folder(self, run: str) -> Path:
        """Give the folder of the rows that a run sets aside."""
        return self._quarantine / run

    def champion(self) -> int | None:
        """Give the version in use."""
        crowned = self._crowned()
        return None if crowned is None else int(crowned["version"])

    def in_use(self, version: int | None = None) -> int:
        """Give a version that was named, or the one in use; raise StoreError if there is none."""
        meant = self.champion() if version is None else version
        if meant is None:
            raise StoreError(f"store {self.path}: there is no champion; --version names a version")
        return meant

    def previous(self) -> int | None:
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
            count = 0 if event["event"] in CROWNINGS else count + (event.get("champion") == champion)
        return count

    def promote(self, version: int, *, over: int | None, run: str, reason: str, event: str = PROMOTION) -> None:
        """Make a version the champion; raise StoreError if it isn't whole, or if `over` is no longer the champion."""
        with self._locked():
            self.check_whole(version)
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
            spared = {self.champion(), self.previous(), *versions[-max(keep, 1) :]}
            removed = [version for version in versions if version not in spared]
            for version in removed:
                retired = self._versions / f"{RETIRED}{version}"
                self.folder(version).rename(retired)  # at once: it is never half there
                shutil.rmtree(retired)
            return removed

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the store's lock, which ends with its process, and put right what a killed one left."""
        self.path.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._sweep()
            for event in self._untold():
                append_line(self._history, json.dumps(event))
            last = max((event["version"] for event in self._told()), default=0)
            for version in self.versions():
                if version > last:
                    self._carry_out(version)
            yield

    def _carry_out(self, version: int) -> None:
        """Bring what a version's card says was decided into force and into the history; a card may say nothing.

        Its checkpoints aren't needed any more. They go first: a version in the history is done with.
        """
        if self.faults(version):
            return
        card = self.card(version)
        self._remove_work(str(card.get("fingerprint")))
        decision = card.get("decision")
        if not isinstance(decision, dict) or not {"promoted", "reason", "champion", "accuracy"} <= set(decision):
            return
        run, reason, over = str(card.get("run")), decision["reason"], decision["champion"]
        if decision["promoted"] and self.champion() == over:
            self._crown(self._event(PROMOTION, version, run, reason, over=over))
        else:
            figures = {"promoted": False, "accuracy": decision["accuracy"], "champion": over}
            append_line(self._history, json.dumps(self._event(DECISION, version, run, reason, **figures)))

    def _remove_work(self, fingerprint: str) -> None:
        """Remove the checkpoints of a training that is published; a card may be touched, and name another folder."""
        if fingerprint.isalnum():
            shutil.rmtree(self.work / fingerprint, ignore_errors=True)
        with contextlib.suppress(OSError):  # another training's are still there
            self.work.rmdir()

    def _crown(self, crowned: dict[str, Any]) -> None:
        write_atomically(self._champion, f"{json.dumps(crowned)}\n".encode())
        append_line(self._history, json.dumps(crowned))

    def _owed(self, version: int) -> Path:
        """Give the file that is there as long as a version's report isn't in Prefect."""
        return self._versions / f"{OWED}{version}"

    def _crowned(self) -> dict[str, Any] | None:
        try:
            crowned: dict[str, Any] = json.loads(self._champion.read_text())
            int(crowned["version"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            # Damaged: the history knows as well, and the next promotion writes it anew.
            return next((event for event in reversed(self._told()) if event.get("event") in CROWNINGS), None)
        return crowned

    def _told(self) -> list[dict[str, Any]]:
        lines = self._history.read_bytes().split(b"\n")[:-1] if self._history.exists() else []
        try:
            return [json.loads(line) for line in lines]
        except ValueError as error:
            raise StoreError(f"{self._history}: a line isn't JSON ({error}); mend or remove it") from error

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
            return int(self._last.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _sweep(self) -> None:
        """Remove what killed processes left; whoever holds the lock knows that nobody is writing."""
        for pattern in (f"{TEMPORARY}*", f"{RETIRED}*"):
            for debris in self._versions.glob(pattern):
                shutil.rmtree(debris, ignore_errors=True)
        for marker in self._versions.glob(f"{OWED}*"):
            if not (self._versions / marker.name.removeprefix(OWED)).is_dir():
                marker.unlink(missing_ok=True)
        for folder, name in ((self._versions, self._last.name), (self.path, self._champion.name)):
            for debris in folder.glob(f".{name}.*"):
                debris.unlink(missing_ok=True)
