"""A folder that people drop files into, to be trained on too: `done/` has what counts, `rejected/` the rest.

A file is moved in one step, and never changed; one of the same content as another that counts is rejected.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock

from artifacts.files import write_atomically
from schemas.errors import InputError
from tasks.sources.files import entries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DONE, REJECTED = "done", "rejected"
SETTLED_SECONDS = 3.0
"""What was changed since may still be under way, and waits for the next run."""


class Inbox:
    """An inbox at a path."""

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is created yet."""
        self._path = path
        self._done, self._rejected = path / DONE, path / REJECTED

    def check(self) -> None:
        """Raise InputError unless it is, or can become, a folder whose files can be moved."""
        place = self._path.absolute()
        while not place.exists():
            place = place.parent
        if not place.is_dir():
            raise InputError(f"--inbox {self._path}: {place} is a file; a folder is needed")
        if not os.access(place, os.W_OK | os.X_OK):
            raise InputError(f"--inbox {self._path}: {place} can't be written; a folder that can be is needed")

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Create what isn't there, and keep other runs out meanwhile."""
        for folder in (self._done, self._rejected):
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path / ".lock"):
            yield

    def accepted(self) -> list[Path]:
        """Give all files and folders that count, in the order of their names."""
        return [path.resolve() for path in entries(self._done)]

    def waiting(self) -> tuple[list[Path], list[Path]]:
        """Give the files and folders to be looked at, and those that may still be changing."""
        found = [path for path in entries(self._path) if path not in {self._done, self._rejected}]
        settled = [path for path in found if time.time() - _changed(path) > SETTLED_SECONDS]
        return settled, [path for path in found if path not in settled]

    def check_new(self, path: Path) -> None:
        """Raise InputError for a link, for what can't be read, and for a copy of what counts already."""
        if path.is_symlink():
            raise InputError(f"{path.name}: a link; the file itself is needed")
        try:
            content = _digest(path)
        except OSError as error:
            raise InputError(f"{path.name}: can't be read ({error.strerror})") from error
        for known in self.accepted():
            if _digest(known) == content:
                raise InputError(f"{path.name}: the same as {DONE}/{known.name}, which counts already")

    def accept(self, path: Path) -> Path:
        """Let a file count from now on; give its new place."""
        return path.rename(_free(self._done / path.name)).resolve()

    def reject(self, path: Path, reason: str) -> Path:
        """Put a file aside, the reason beside it; give its new place."""
        place = _free(self._rejected / path.name)
        write_atomically(place.with_name(f"{place.name}.reason.txt"), f"{reason}\n".encode())
        return path.rename(place)


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _changed(path: Path) -> float:
    return max(file.lstat().st_mtime for file in [path, *_files(path)])


def _digest(path: Path) -> str:
    """Digest a file, or the names and files of a folder."""
    total = hashlib.sha256()
    for file in _files(path):
        with file.open("rb") as content:
            total.update(str(file.relative_to(path)).encode() + hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()


def _free(path: Path) -> Path:
    """Give a path, or that with a number behind its name if something else has it."""
    number = 1
    place = path
    while place.exists():
        number += 1
        place = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return place
