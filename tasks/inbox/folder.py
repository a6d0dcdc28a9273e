"""A folder that people drop files into, to be trained on too: `done/` has what counts, `rejected/` the rest.

A file is moved in one step, and never changed; one of the same content as another that counts is rejected.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from artifacts.files import write_atomically
from schemas.errors import InputError
from tasks.sources.files import entries, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[2]
DONE, REJECTED = "done", "rejected"
REASON = ".reason.txt"
SETTLED_SECONDS = 3.0
"""What was changed since may still be under way, and waits for the next run."""


class Inbox:
    """An inbox at a path."""

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is created yet."""
        self._path = path
        self._done, self._rejected = path / DONE, path / REJECTED

    def check(self, *needed: str | Path | None) -> None:
        """Raise InputError unless it is, or can become, a folder of its own, whose files can be moved.

        It mustn't hold what is needed, nor lie within it: the sources, the store. Nor may it hold the working folder,
        the project or the person's home: all that is in an inbox is moved.
        """
        self._check_apart(needed)
        for folder in (self._path, self._done, self._rejected):
            if os.path.lexists(folder) and not folder.is_dir():
                what = "a link to nowhere" if folder.is_symlink() and not folder.exists() else "a file"
                raise InputError(f"--inbox {self._path}: {folder.absolute()} is {what}; a folder is needed")
        place = self._path.absolute()
        while not place.exists():
            place = place.parent
        if not place.is_dir():
            raise InputError(f"--inbox {self._path}: {place} is a file; a folder is needed")
        if not os.access(place, os.W_OK | os.X_OK):
            raise InputError(f"--inbox {self._path}: {place} can't be written; a folder that can be is needed")

    def check_unused(self, source: str) -> None:
        """Raise InputError if there are any files, beside a source that takes none."""
        found = [
            path.name
            for folder in (self._path, self._done)
            if folder.is_dir()
            for path in entries(folder)
            if path not in {self._done, self._rejected}
        ]
        if found:
            raise InputError(
                f"--inbox {self._path}: {printable(found[0])} and whatever else is in it can't be added to {source}, "
                "which is shards; an inbox without files, or none, goes with it"
            )

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Create what isn't there, and keep other runs out meanwhile."""
        try:
            for folder in (self._done, self._rejected):
                folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._path / ".lock").acquire()
        except OSError as error:
            told = f"{error.filename} can't be made ({error.strerror}); a folder that can be written is needed"
            raise InputError(f"--inbox {self._path}: {told}") from error
        with lock:
            yield

    def _check_apart(self, needed: Iterable[str | Path | None]) -> None:
        inbox = self._path.resolve()
        theirs = [Path(place).resolve() for place in needed if place is not None]
        for place in (*theirs, *map(Path.resolve, (Path(), ROOT, Path.home()))):
            if place.is_relative_to(inbox):
                what = "is" if place == inbox else "holds"
            elif place in theirs and inbox.is_relative_to(place):
                what = "lies within"
            else:
                continue
            raise InputError(
                f"--inbox {self._path}: it {what} {place}, and all that is in an inbox is moved; "
                "a folder for new files alone is needed"
            )

    def accepted(self) -> list[Path]:
        """Give all files and folders that count, in the order of their names."""
        return [path.resolve() for path in entries(self._done)]

    def waiting(self) -> tuple[list[Path], list[Path]]:
        """Give the files and folders to be looked at, and those that may still be changing."""
        found = [path for path in entries(self._path) if path not in {self._done, self._rejected}]
        settled = [path for path in found if time.time() - _changed(path) > SETTLED_SECONDS]
        return settled, [path for path in found if path not in settled]

    def digest(self, path: Path) -> str:
        """Digest what a new file holds; raise InputError for a link, what can't be read, a copy of what counts."""
        if path.name != printable(path.name):
            raise InputError(f"{printable(path.name)}: a name that isn't UTF-8; another one is needed")
        if path.is_symlink():
            raise InputError(f"{path.name}: a link; the file itself is needed")
        try:
            content = _digest(path)
        except OSError as error:
            raise InputError(f"{path.name}: can't be read ({error.strerror})") from error
        if content in self._counting:
            raise InputError(f"{path.name}: the same as {DONE}/{self._counting[content]}, which counts already")
        return content

    def accept(self, path: Path, digest: str) -> Path | None:
        """Let a file count from now on, and give its new place; None if it has changed since, and is left to wait."""
        place = _free(self._done / path.name)
        _move(path, place)
        if _digest(place) != digest:
            _move(place, _free(path))
            return None
        self._counting[digest] = place.name
        return place.resolve()

    def reject(self, path: Path, reason: str) -> Path:
        """Put a file aside, the reason beside it; give its new place."""
        place = _free(self._rejected / path.name, REASON)
        told = place.with_name(place.name + REASON)
        try:
            write_atomically(told, f"{reason}\n".encode())
        except OSError as error:
            raise _unmovable(path, told, error) from error
        try:
            _move(path, place)
        except InputError:
            told.unlink()
            raise
        return place

    @cached_property
    def _counting(self) -> dict[str, str]:
        """Give the names of what counts and can be read, by digest."""
        known = {}
        for path in self.accepted():
            with suppress(OSError, InputError):
                known[_digest(path)] = path.name
        return known


def _changed(path: Path) -> float:
    """Give when a file, or anything in a folder, was changed, moved or made last, whatever its own times say."""
    try:
        return max(entry.lstat().st_ctime for entry in [path, *path.rglob("*")])
    except FileNotFoundError:  # taken away just now
        return time.time()


def _digest(path: Path) -> str:
    """Digest a file, or the names and files of a folder; raise InputError for a pipe, which would never end."""
    if not path.is_file() and not path.is_dir():
        raise InputError(f"{path.name}: neither a file nor a folder")
    total = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file()):
        with file.open("rb") as content:
            name = os.fsencode(file.relative_to(path))
            total.update(name + hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()


def _move(path: Path, place: Path) -> None:
    try:
        path.rename(place)
    except OSError as error:
        raise _unmovable(path, place, error) from error


def _unmovable(path: Path, place: Path, error: OSError) -> InputError:
    return InputError(f"{path.name}: can't be moved to {place.parent.name}/ ({error.strerror})")


def _free(path: Path, companion: str = "") -> Path:
    """Give a path, or that with a number behind its name if something else has it, or what is to lie beside it."""
    number = 1
    place = path
    while any(os.path.lexists(f"{place}{ending}") for ending in ("", companion)):
        number += 1
        place = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return place
