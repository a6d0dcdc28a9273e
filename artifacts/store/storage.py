"""Where a store's files lie: a folder, or an address of an object store. Each is there whole or not at all.

A storage is a place with names in it; what is said of the one here holds for the other, in `object_storage`.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import time
import uuid
from typing import TYPE_CHECKING, Protocol

from filelock import FileLock

from artifacts import files
from artifacts.uri import check_uri, local_path
from schemas.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

LOCK = ".lock"
RETIRED = ".old-"
DAY = 86_400
"""Seconds after which what is under way without the lock isn't any more."""


class Storage(Protocol):
    """Files and folders by their names, below a place. Picklable; nothing is created before something is kept."""

    def child(self, name: str) -> Storage:
        """Give the place of a name below this one."""

    def names(self) -> list[str]:
        """Give the names of all files and folders, in no order; none where there is no such place."""

    def read(self, name: str) -> bytes:
        """Read a file; raise FileNotFoundError if there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Replace a file in one step."""

    def append(self, name: str, line: str) -> None:
        """Append a line to a file; whoever does holds the lock."""

    def claim(self, name: str, content: bytes = b"") -> bool:
        """Make a file, unless there is one: of all who try, one succeeds."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def remove_folder(self, name: str) -> None:
        """Remove a folder, if it is there, in one step."""

    def remove_empty(self, name: str) -> None:
        """Remove a folder that has nothing in it; any other stays."""

    def new_folder(self, name: str, check: Callable[[], None] = ...) -> AbstractContextManager[Path]:
        """Give an empty folder on this machine to fill; it gets its name, a new one, when the `with` ends well.

        `check`, called just before that, may raise: then there is none.
        """

    def has_dir(self, name: str) -> bool:
        """Tell whether a folder is there, with all that it was made with."""

    def local_dir(self, name: str) -> Path:
        """Give a folder's path on this machine, or that of a copy; raise FileNotFoundError if there is none."""

    def keeping_copies(self) -> Storage:
        """Give the same place, whose copies on this machine stay for the next process; for what is large."""

    def scratch(self) -> Path:
        """Give a folder on this machine for what is under way; it is on the disk that `folder` uses."""

    def absolute(self) -> Storage:
        """Give the same place, for a process with another working directory."""

    def sums(self, name: str) -> dict[str, str]:
        """Give the SHA-256 of every file of a folder as it is there, not in a copy."""

    def discard(self, name: str) -> None:
        """Remove a folder that isn't what it was; of one elsewhere the copy, so that it is fetched anew."""

    def tidy(self, *names: str, idle_seconds: float = 0) -> None:
        """Remove folders that killed processes left half done, and what they left of these files.

        Whoever does holds the lock, or leaves alone what may be under way: what is younger than so many seconds.
        """

    def check_writable(self) -> None:
        """Raise InputError if nothing can be kept; leave nothing behind."""

    def locked(self) -> AbstractContextManager[Callable[[], None]]:
        """Hold the one lock of this place, which ends with its process; others wait.

        Gives what raises StoreError if it was lost, to be asked before anything is changed.
        """


def storage_at(place: str | Path) -> Storage:
    """Give the storage at a path or an address; raise InputError for one that no installed package knows."""
    check_uri(place, "a store is a folder or is at an address")
    path = local_path(place)
    if path is not None:
        return FolderStorage(path)
    from artifacts.store.object_storage import ObjectStorage  # noqa: PLC0415, fsspec comes with it

    return ObjectStorage.known(str(place))


class FolderStorage:
    """A folder of this machine, or one that several mount."""

    def __init__(self, path: Path) -> None:
        """Name the folder."""
        self._path = path

    def __str__(self) -> str:
        """Give its path."""
        return str(self._path)

    def child(self, name: str) -> FolderStorage:
        """Give the folder of a name."""
        return FolderStorage(self._path / name)

    def names(self) -> list[str]:
        """List it."""
        return [entry.name for entry in self._path.iterdir()] if self._path.is_dir() else []

    def read(self, name: str) -> bytes:
        """Read a file."""
        return (self._path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write a file, by a rename."""
        self._path.mkdir(parents=True, exist_ok=True)
        files.write_atomically(self._path / name, content)

    def append(self, name: str, line: str) -> None:
        """Append a line; what a killed process left of its own is taken away first."""
        files.append_line(self._path / name, line)

    def claim(self, name: str, content: bytes = b"") -> bool:
        """Make a file that isn't there."""
        self._path.mkdir(parents=True, exist_ok=True)
        try:
            with (self._path / name).open("xb") as file:
                file.write(content)
        except FileExistsError:
            return False
        return True

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self._path / name).unlink(missing_ok=True)

    def remove_folder(self, name: str) -> None:
        """Remove a folder, which is renamed first, so that it is never half there."""
        path = self._path / name
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path.rename(path.with_name(f"{RETIRED}{uuid.uuid4().hex}")), ignore_errors=True)

    def remove_empty(self, name: str) -> None:
        """Remove a folder, if the system lets it go."""
        with contextlib.suppress(OSError):
            (self._path / name).rmdir()

    @contextlib.contextmanager
    def new_folder(self, name: str, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
        """Give a folder that is renamed in the end."""
        self._path.mkdir(parents=True, exist_ok=True)
        with files.new_folder(self._path / name) as folder:
            yield folder
            check()

    def has_dir(self, name: str) -> bool:
        """Tell whether a folder is there; it was renamed when it was whole."""
        return (self._path / name).is_dir()

    def local_dir(self, name: str) -> Path:
        """Give a folder's own path."""
        path = self._path / name
        if not path.is_dir():
            raise FileNotFoundError(path)
        return path

    def keeping_copies(self) -> FolderStorage:
        """Give itself: there are no copies."""
        return self

    def scratch(self) -> Path:
        """Give the folder itself."""
        self._path.mkdir(parents=True, exist_ok=True)
        return self._path

    def absolute(self) -> FolderStorage:
        """Give it by its whole path."""
        return FolderStorage(self._path.absolute())

    def sums(self, name: str) -> dict[str, str]:
        """Hash the files."""
        return files.sums(self.local_dir(name))

    def discard(self, name: str) -> None:
        """Remove it."""
        self.remove_folder(name)

    def tidy(self, *names: str, idle_seconds: float = 0) -> None:
        """Remove what has the name of a folder, or of one of these files, under way or on its way out."""
        for left in self.names():
            if idle_seconds and not self._is_idle(left, idle_seconds):
                continue
            if re.fullmatch(r"\.new-\w{8}|\.old-[0-9a-f]{32}", left):
                shutil.rmtree(self._path / left, ignore_errors=True)
            elif any(re.fullmatch(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}", left) for name in names):
                (self._path / left).unlink(missing_ok=True)

    def _is_idle(self, name: str, seconds: float) -> bool:
        """Tell whether nothing was done to it for so long; what is gone by now is somebody else's."""
        try:
            return time.time() - (self._path / name).stat().st_mtime > seconds
        except FileNotFoundError:
            return False

    def check_writable(self) -> None:
        """Try the folder, or the nearest one above it that is there."""
        folder = self._path.absolute()
        try:
            while not folder.exists():
                folder = folder.parent
            with tempfile.TemporaryFile(dir=folder):
                return
        except OSError as error:
            raise InputError(
                f"{self._path}: can't be written ({folder}: {error.strerror}); a folder that can be is needed"
            ) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[Callable[[], None]]:
        """Lock a file in it, which isn't lost."""
        self._path.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path / LOCK, poll_interval=0.01):
            yield lambda: None
