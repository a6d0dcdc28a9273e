"""The store: a folder of numbered versions, each complete or absent, and never changed."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from typing import TYPE_CHECKING

from filelock import FileLock

from artifacts.files import TEMPORARY, new_folder, write_atomically
from schemas.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Store:
    """A store of versions at a path; nothing is created before the first version is."""

    def __init__(self, path: Path) -> None:
        """Name the store's folder."""
        self.path = path
        self.work = path / "work"
        self._quarantine = path / "quarantine"
        self._versions = path / "versions"
        self._last = self._versions / ".last"

    def check_writable(self) -> None:
        """Raise InputError if a version can't be written; leave nothing behind."""
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

    @contextlib.contextmanager
    def new_version(self) -> Iterator[tuple[int, Path]]:
        """Give the next number and an empty folder to fill; it becomes that version when the `with` ends well.

        Other processes wait meanwhile. A number is never given twice, even when its version was removed by hand or
        came to nothing.
        """
        self._versions.mkdir(parents=True, exist_ok=True)
        with FileLock(self._versions / ".lock"):
            self._sweep()
            number = max([self._last_number(), *self.versions()]) + 1
            write_atomically(self._last, f"{number}\n".encode())
            with new_folder(self.folder(number)) as folder:
                yield number, folder

    @contextlib.contextmanager
    def quarantine(self, run: str) -> Iterator[Path]:
        """Give an empty folder for the rows that a run sets aside; it is there when the `with` ends well."""
        self._quarantine.mkdir(parents=True, exist_ok=True)
        with new_folder(self.quarantine_folder(run)) as folder:
            yield folder

    def quarantine_folder(self, run: str) -> Path:
        """Give the folder of the rows that a run sets aside."""
        return self._quarantine / run

    def remove_work(self, fingerprint: str) -> None:
        """Remove the checkpoints of a training that is published."""
        shutil.rmtree(self.work / fingerprint, ignore_errors=True)
        with contextlib.suppress(OSError):  # another training's are still there
            self.work.rmdir()

    def _last_number(self) -> int:
        try:
            return int(self._last.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _sweep(self) -> None:
        """Remove what killed processes left; whoever holds the lock knows that nobody is writing."""
        for debris in self._versions.glob(f"{TEMPORARY}*"):
            shutil.rmtree(debris, ignore_errors=True)
        for debris in self._versions.glob(f".{self._last.name}.*"):
            debris.unlink(missing_ok=True)
