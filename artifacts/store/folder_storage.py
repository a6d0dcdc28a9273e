"""A folder as a backend of the store: on this machine, or on a disk that several machines mount."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from artifacts import files
from artifacts.uri import REMEDIES, disk_errors
from schemas.errors import InputError

RETIRED_PREFIX = ".old-"
"""Prefix of folders that are being removed."""
DAY = 86_400
"""Seconds after which a temporary file counts as abandoned."""


class FolderStorage:
    """A folder on this machine, or on a disk that several machines mount.

    Picklable; nothing is created before something is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def __reduce__(self) -> tuple[type[FolderStorage], tuple[Path]]:
        """Pickle with an absolute path: the process that gets it may have another working directory."""
        return FolderStorage, (self._path.absolute(),)

    def child(self, name: str) -> FolderStorage:
        return FolderStorage(self._path / name)

    def names(self) -> list[str]:
        """Return the names of all files and folders here, in no order; [] if this folder doesn't exist."""
        with self._access():
            return [entry.name for entry in self._path.iterdir()] if self._path.is_dir() else []

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of each file here and in the folders below, by its path such as `7/card.json`."""
        sizes = {}
        for folder, _, names in os.walk(self._path):
            for path in (Path(folder, name) for name in names):
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    sizes[path.relative_to(self._path).as_posix()] = path.stat().st_size
        return sizes

    def read(self, name: str) -> bytes:
        """Read a file; raise FileNotFoundError if it doesn't exist."""
        with self._access(name) as path:
            return path.read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Create or replace a file in one step."""
        self.scratch()
        with self._access(name) as path:
            files.write_atomically(path, content)

    def create(self, name: str, content: bytes) -> bool:
        """Create a file in one step and return True; return False if it exists with another content.

        Of several callers with different contents, one gets True. A caller whose own content is already there also gets
        True: it retries because the response was lost.
        """
        self.scratch()
        with self._access(name) as path:
            return files.create_atomically(path, content) or path.read_bytes() == content

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        with self._access(name) as path:
            path.unlink(missing_ok=True)

    def remove_folder(self, name: str) -> None:
        """Remove a folder if it exists; it is renamed first, so that it never appears with only some of its files."""
        with contextlib.suppress(FileNotFoundError), self._access(name) as path:
            shutil.rmtree(path.rename(path.with_name(f"{RETIRED_PREFIX}{uuid.uuid4().hex}")), ignore_errors=True)

    def add_folder(self, folder: Path, name: str) -> None:
        """Add a temporary folder, made in `scratch`, under a new name."""
        with self._access(name) as path:
            files.move_folder(folder, path)

    @contextlib.contextmanager
    def new_folder(self, name: str, *, flush: bool = True) -> Iterator[Path]:
        """Yield an empty folder to fill; it is added under its name when the `with` block ends without an error.

        Without `flush`, a local folder may be missing or incomplete after a power failure.
        """
        self.scratch()
        with self._access(name) as path, files.new_folder(path, flush=flush) as folder:
            yield folder

    def local_dir(self, name: str, *, fresh: bool = False) -> Path:  # noqa: ARG002, there is no copy
        """Return the path of a folder, or of its copy on this machine, downloaded again if `fresh`.

        Raises FileNotFoundError if it doesn't exist.
        """
        with self._access(name) as path:
            if not path.is_dir():
                raise FileNotFoundError(path)
            return path

    def discard(self, name: str) -> None:
        """Remove a damaged folder; for an object store, remove only the local copy, which is then downloaded again."""
        self.remove_folder(name)

    def scratch(self) -> Path:
        """Return a folder on this machine for temporary files."""
        with self._access() as path:
            path.mkdir(parents=True, exist_ok=True)
            return path

    def absolute(self) -> FolderStorage:
        """Return this storage with an absolute path, for a process with another working directory."""
        return FolderStorage(self._path.absolute())

    def tidy(self, idle_seconds: float) -> None:
        """Remove temporary files and folders on this machine that weren't changed for `idle_seconds`."""
        names = (name for name in self.names() if name.startswith((files.TEMPORARY_PREFIX, RETIRED_PREFIX)))
        for path in (self._path / name for name in names):
            with contextlib.suppress(OSError):  # finished or removed meanwhile; leftovers do no harm
                if time.time() - path.stat().st_mtime < idle_seconds:
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()

    def check_writable(self) -> None:
        """Raise InputError if files can't be created here; leave nothing behind."""
        folder = self._path.absolute()
        try:
            while not folder.exists():
                folder = folder.parent
            with tempfile.TemporaryDirectory(dir=folder, prefix=files.TEMPORARY_PREFIX) as probe:
                files.create_atomically(Path(probe, "probe"), os.urandom(files.PROBE_BYTES))
        except OSError as error:
            remedy = REMEDIES.get(error.errno or 0, "choose a folder that can be written")
            raise InputError(f"{self._path}: can't be written ({folder}: {error.strerror}); {remedy}") from error

    @contextlib.contextmanager
    def _access(self, name: str = "") -> Iterator[Path]:
        """Yield a name's path; convert a disk's errors to one-line InputErrors, unless a file is missing or exists."""
        path = self._path / name
        with disk_errors(path):
            yield path
