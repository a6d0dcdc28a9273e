"""A prefix in an object store, at a URI that fsspec knows, such as `s3://bucket/digits`.

Object stores write single objects in one step, but no folders. Folders are downloaded to this machine where paths are
needed.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import tempfile
import time
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import fsspec
from platformdirs import user_cache_path

from artifacts import files
from artifacts.store.storage import FolderStorage, Storage
from artifacts.uri import check_protocol, storage_error
from schemas.errors import StorageError, UnavailableError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

FRESH = {"use_listings_cache": False}
"""Options of fsspec that show what other processes have changed."""
RETRY_SECONDS = (0.2, 1.0)
"""Pauses before an object is created again whose creation failed, perhaps only in its answer."""


class ObjectStorage(Storage):
    """A URI and the objects below it."""

    def __init__(self, uri: str, *, keep_copies: bool = False) -> None:
        self._uri = uri.rstrip("/")
        self._keep_copies = keep_copies

    @classmethod
    def checked(cls, uri: str) -> Self:
        """Return the storage at a URI; raise InputError if no installed package knows its protocol."""
        check_protocol(uri, f"store {uri}")
        return cls(uri)

    def __str__(self) -> str:
        return self._uri

    def child(self, name: str) -> ObjectStorage:
        return ObjectStorage(f"{self._uri}/{name}", keep_copies=self._keep_copies)

    def names(self) -> list[str]:
        try:
            with self._open() as (store, path):
                entries: list[str] = store.ls(path, detail=False)
        except FileNotFoundError:
            return []
        return [entry.rstrip("/").rsplit("/", 1)[-1] for entry in entries if entry.strip("/") != path.strip("/")]

    def sizes(self) -> dict[str, int]:
        try:
            with self._open() as (store, path):
                entries: dict[str, dict[str, Any]] = store.find(path, detail=True)
        except FileNotFoundError:
            return {}
        below = path.strip("/") + "/"
        return {name.strip("/").removeprefix(below): entry["size"] for name, entry in entries.items()}

    def read(self, name: str) -> bytes:
        with self._open(name) as (store, path):
            content: bytes = store.cat_file(path)
            return content

    def write(self, name: str, content: bytes) -> None:
        with self._open_to_write(name) as (store, path):
            store.pipe_file(path, content)

    def create(self, name: str, content: bytes) -> bool:
        for seconds in RETRY_SECONDS:
            with contextlib.suppress(UnavailableError):
                return self._create_once(name, content)
            time.sleep(seconds)
        return self._create_once(name, content)

    def _create_once(self, name: str, content: bytes) -> bool:
        """Create an object unless it exists: S3, Google's and Azure's stores settle who is first."""
        try:
            with self._open_to_write(name) as (store, path):
                store.pipe_file(path, content, mode="create")
        except FileExistsError:
            return self.read(name) == content
        return True

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._open(name) as (store, path):
            store.rm_file(path)

    def remove_folder(self, name: str) -> None:
        self.discard(name)
        with contextlib.suppress(FileNotFoundError), self._open(name) as (store, path):
            store.rm(path, recursive=True)

    def temporary_folder(self) -> AbstractContextManager[Path]:
        return files.temporary_folder(self.scratch())

    def add_folder(self, folder: Path, name: str) -> None:
        sizes = FolderStorage(folder).sizes()
        with self._open_to_write(name) as (store, path):
            store.put([str(folder / file) for file in sizes], [f"{path}/{file}" for file in sizes])
        if self.child(name).sizes() != sizes:
            raise UnavailableError(f"{self._uri}/{name}: differs from what was uploaded")

    @contextlib.contextmanager
    def new_folder(self, name: str) -> Iterator[Path]:
        """Keep what was uploaded as the copy on this machine."""
        with self.temporary_folder() as folder:
            yield folder
            self.add_folder(folder, name)
            self.discard(name)
            folder.chmod(0o755)
            with contextlib.suppress(OSError):  # another process has a copy by now
                folder.rename(self.scratch() / name)

    def local_dir(self, name: str, *, fresh: bool = False) -> Path:
        copy = self.scratch() / name
        if fresh:
            self.discard(name)
        with contextlib.suppress(FileNotFoundError):
            os.utime(copy)  # in use: unused copies are removed after some time
            return copy
        try:
            with files.new_folder(copy) as folder:
                self._download(name, folder)
        except OSError:
            if not copy.is_dir():
                raise  # else another process has downloaded it meanwhile
        return copy

    def _download(self, name: str, folder: Path) -> None:
        sizes = self.child(name).sizes()
        if not sizes:
            raise FileNotFoundError(f"{self._uri}/{name}")
        with self._open(name) as (store, path):
            store.get([f"{path}/{file}" for file in sizes], [str(folder / file) for file in sizes])
        if FolderStorage(folder).sizes() != sizes:
            raise FileNotFoundError(f"{self._uri}/{name}: changed while it was downloaded")

    def discard(self, name: str) -> None:
        shutil.rmtree(self.scratch() / name, ignore_errors=True)

    def keeping_copies(self) -> ObjectStorage:
        """Keep copies in the user's cache instead of a folder that is removed with the process."""
        return ObjectStorage(self._uri, keep_copies=True)

    def scratch(self) -> Path:
        """Return the folder of the copies; raise StorageError if it can't be created."""
        folder = self._copies()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{folder}: can't be made for copies of {self._uri} ({error.strerror})") from error
        return folder

    def _copies(self) -> Path:
        copies = user_cache_path("digit-retraining") if self._keep_copies else _process_folder()
        return copies / hashlib.sha256(self._uri.encode()).hexdigest()[:16]

    def absolute(self) -> ObjectStorage:
        return self

    def tidy(self, idle_seconds: float) -> None:
        """Remove downloads that were interrupted; objects never are half there."""
        FolderStorage(self._copies()).tidy(idle_seconds)

    def check_writable(self) -> None:
        """Create an object and remove it; a second one of that name must be refused, or writers would race."""
        probe = f".probe-{uuid.uuid4().hex}"
        created = [self.create(probe, b"first"), self.create(probe, b"second")]
        self.remove(probe)
        if created != [True, False]:
            raise StorageError(f"{self._uri}: doesn't refuse to create an object that exists, so that writers may race")
        if self._uri.startswith("memory://"):
            raise StorageError(f"{self._uri}: ends with its process; a folder or an object store is needed")

    @contextlib.contextmanager
    def _open(self, name: str = "") -> Iterator[tuple[Any, str]]:
        """Yield fsspec's filesystem and a name's path in it; raise errors of one line.

        Each kind of store has its own errors. Objects that are missing or exist already are the caller's concern, and
        a full disk is one of this machine.
        """
        uri = f"{self._uri}/{name}" if name else self._uri
        try:
            store, path = fsspec.url_to_fs(uri, **FRESH)
            yield store, path.rstrip("/")
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in files.FULL:
                raise
            raise storage_error(f"{uri}: can't be used", error) from error

    @contextlib.contextmanager
    def _open_to_write(self, name: str) -> Iterator[tuple[Any, str]]:
        """Do the same where only the bucket has to exist."""
        try:
            with self._open(name) as (store, path):
                yield store, path
        except FileNotFoundError as error:
            raise StorageError(f"{self._uri}: can't be written ({first_line(error)})") from error


@cache
def _process_folder() -> Path:
    """Create a folder that is removed with this process."""
    folder = tempfile.mkdtemp(prefix="digit-retraining-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
