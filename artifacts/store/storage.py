"""Objects by their names, in a folder or an object store: what the store of versions is built on.

It asks for little: list, read, replace, remove, and *create this object unless it exists*, which settles who was first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts import files
from schemas.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

RETIRED = ".old-"
"""How the names of folders start that are being removed."""
DAY = 86_400
"""Seconds after which nobody is still writing a temporary file."""


class Storage(ABC):
    """A folder, or a prefix in an object store. Picklable; nothing is created before something is written."""

    @abstractmethod
    def child(self, name: str) -> Storage:
        """Return the storage of a folder in this one."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of all files and folders here, in no order; none where this folder doesn't exist."""

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of each file here and in the folders below, by its path such as `7/card.json`."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Read a file; raise FileNotFoundError if it doesn't exist."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Create or replace a file in one step."""

    @abstractmethod
    def create(self, name: str, content: bytes) -> bool:
        """Create a file in one step and return True; return False if it exists with another content.

        Of several callers with different contents, one gets True. A caller whose own content is already there gets
        True as well: its answer was lost, and it tries again.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file if it exists."""

    @abstractmethod
    def remove_folder(self, name: str) -> None:
        """Remove a folder with its files if it exists."""

    @abstractmethod
    def temporary_folder(self) -> AbstractContextManager[Path]:
        """Yield an empty folder on this machine, which is removed in the end, to prepare a folder of this storage."""

    @abstractmethod
    def add_folder(self, folder: Path, name: str) -> None:
        """Move the files of a temporary folder into a new folder here."""

    @contextlib.contextmanager
    def new_folder(self, name: str) -> Iterator[Path]:
        """Yield an empty folder to fill, whose files are in a new folder here when the `with` ends without an error."""
        with self.temporary_folder() as folder:
            yield folder
            self.add_folder(folder, name)

    @abstractmethod
    def local_dir(self, name: str, *, fresh: bool = False) -> Path:
        """Return the path of a folder, or of its copy on this machine, downloaded again if `fresh`.

        Raises FileNotFoundError if it doesn't exist.
        """

    @abstractmethod
    def discard(self, name: str) -> None:
        """Remove a damaged folder; of one in an object store the copy, so that it is downloaded again."""

    @abstractmethod
    def keeping_copies(self) -> Storage:
        """Return this storage with copies that stay on this machine for later processes; for large files."""

    @abstractmethod
    def scratch(self) -> Path:
        """Return a folder on this machine for temporary files."""

    @abstractmethod
    def absolute(self) -> Storage:
        """Return this storage for a process with another working directory."""

    @abstractmethod
    def tidy(self, idle_seconds: float) -> None:
        """Remove temporary files and folders on this machine that nobody has changed for that long."""

    @abstractmethod
    def check_writable(self) -> None:
        """Raise InputError if files can't be created here; leave nothing behind."""


class FolderStorage(Storage):
    """A folder on this machine, or on a disk that several machines mount."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def child(self, name: str) -> FolderStorage:
        return FolderStorage(self._path / name)

    def names(self) -> list[str]:
        return [entry.name for entry in self._path.iterdir()] if self._path.is_dir() else []

    def sizes(self) -> dict[str, int]:
        found = {}
        for folder, _, names in os.walk(self._path):
            for path in (Path(folder, name) for name in names):
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    found[path.relative_to(self._path).as_posix()] = path.stat().st_size
        return found

    def read(self, name: str) -> bytes:
        return (self._path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        files.write_atomically(self._made() / name, content)

    def create(self, name: str, content: bytes) -> bool:
        path = self._made() / name
        return files.create_atomically(path, content) or path.read_bytes() == content

    def remove(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    def remove_folder(self, name: str) -> None:
        """Rename the folder first, so that it is never there with only some of its files."""
        path = self._path / name
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path.rename(path.with_name(f"{RETIRED}{uuid.uuid4().hex}")), ignore_errors=True)

    def temporary_folder(self) -> AbstractContextManager[Path]:
        return files.temporary_folder(self._made())

    def add_folder(self, folder: Path, name: str) -> None:
        files.move_folder(folder, self._path / name)

    def local_dir(self, name: str, *, fresh: bool = False) -> Path:  # noqa: ARG002, there is no copy
        path = self._path / name
        if not path.is_dir():
            raise FileNotFoundError(path)
        return path

    def discard(self, name: str) -> None:
        self.remove_folder(name)

    def keeping_copies(self) -> FolderStorage:
        return self

    def scratch(self) -> Path:
        return self._made()

    def absolute(self) -> FolderStorage:
        return FolderStorage(self._path.absolute())

    def tidy(self, idle_seconds: float) -> None:
        for name in self.names():
            path = self._path / name
            with contextlib.suppress(FileNotFoundError):  # finished or removed meanwhile
                if not name.startswith((files.TEMPORARY, RETIRED)) or time.time() - path.stat().st_mtime < idle_seconds:
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()

    def check_writable(self) -> None:
        folder = self._path.absolute()
        try:
            while not folder.exists():
                folder = folder.parent
            with tempfile.TemporaryDirectory(dir=folder, prefix=files.TEMPORARY) as probe:
                FolderStorage(folder / probe).create("probe", b"")
        except OSError as error:
            raise InputError(
                f"{self._path}: can't be written ({folder}: {error.strerror}); a folder that can be, on a disk with "
                "hard links, is needed"
            ) from error

    def _made(self) -> Path:
        self._path.mkdir(parents=True, exist_ok=True)
        return self._path
