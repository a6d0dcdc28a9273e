"""Named objects in an object store, or in a folder: the backends of the store of versions.

Both backends have the same methods, documented in `FolderStorage`. The backend has to support few operations: list,
read, replace, remove, and *create unless it exists*, which only one of several writers can do. Object stores write
single objects atomically, but not folders; where paths are needed, a folder is downloaded to this machine.
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
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import fsspec
from platformdirs import user_cache_path

from artifacts import files
from artifacts.store.folder_storage import FolderStorage
from artifacts.uri import check_protocol, check_uri, local_path, storage_error
from schemas.errors import StorageError, UnavailableError, first_line

FRESH = {"use_listings_cache": False}
"""Options that make fsspec list what other processes have changed."""
RETRY_SECONDS = (0.2, 1.0)
"""Pauses before retrying to create an object; only the response of the failed attempt may have been lost."""


class ObjectStorage:
    """A prefix in an object store, at a URI that fsspec knows, such as `s3://bucket/digits`.

    Local copies of its folders are removed when this process exits, or stay in the user's cache with `keep_copies`.
    """

    def __init__(self, uri: str, *, keep_copies: bool = False) -> None:
        self._uri = uri.rstrip("/")
        self._keep_copies = keep_copies

    def __str__(self) -> str:
        return self._uri

    def child(self, name: str) -> ObjectStorage:
        return ObjectStorage(f"{self._uri}/{name}", keep_copies=self._keep_copies)

    def names(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError), self._open() as (store, path):
            entries = (entry.strip("/") for entry in store.ls(path, detail=False))
            return [entry.rsplit("/", 1)[-1] for entry in entries if entry != path.strip("/")]
        return []

    def sizes(self) -> dict[str, int]:
        with contextlib.suppress(FileNotFoundError), self._open() as (store, path):
            below, entries = path.strip("/") + "/", store.find(path, detail=True)
            return {name.strip("/").removeprefix(below): entry["size"] for name, entry in entries.items()}
        return {}

    def read(self, name: str) -> bytes:
        with self._open(name) as (store, path):
            content: bytes = store.cat_file(path)
            return content

    def write(self, name: str, content: bytes) -> None:
        with self._open(name, to_write=True) as (store, path):
            store.pipe_file(path, content)

    def create(self, name: str, content: bytes) -> bool:
        for seconds in RETRY_SECONDS:
            with contextlib.suppress(UnavailableError):
                return self._create_once(name, content)
            time.sleep(seconds)
        return self._create_once(name, content)

    def _create_once(self, name: str, content: bytes) -> bool:
        """Create an object unless it exists, by a conditional write of S3, Google Cloud Storage or Azure."""
        try:
            with self._open(name, to_write=True) as (store, path):
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

    def add_folder(self, folder: Path, name: str) -> None:
        sizes = FolderStorage(folder).sizes()
        with self._open(name, to_write=True) as (store, path):
            store.put([str(folder / file) for file in sizes], [f"{path}/{file}" for file in sizes])
        if self.child(name).sizes() != sizes:
            raise UnavailableError(f"{self._uri}/{name}: differs from what was uploaded")

    @contextlib.contextmanager
    def new_folder(self, name: str, *, flush: bool = True) -> Iterator[Path]:  # noqa: ARG002, the upload is complete
        with files.temporary_folder(self.scratch()) as folder:
            yield folder
            self.add_folder(folder, name)
            self.discard(name)
            with contextlib.suppress(OSError):  # another process has made a copy meanwhile
                folder.rename(self.scratch() / name)

    def local_dir(self, name: str, *, fresh: bool = False) -> Path:
        copy = self.scratch() / name
        if fresh:
            self.discard(name)
        with contextlib.suppress(FileNotFoundError):
            os.utime(copy)  # marks the copy as used: unused ones are removed after some time
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

    def scratch(self) -> Path:
        """Return the folder of the local copies; raise StorageError if it can't be created."""
        folder = self._copies()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{folder}: can't be created for copies of {self._uri} ({error.strerror})") from error
        return folder

    def _copies(self) -> Path:
        copies = user_cache_path("digit-retraining") if self._keep_copies else _process_folder()
        return copies / hashlib.sha256(self._uri.encode()).hexdigest()[:16]

    def absolute(self) -> ObjectStorage:
        return self

    def tidy(self, idle_seconds: float) -> None:
        """Remove interrupted downloads; objects in the store are never incomplete."""
        FolderStorage(self._copies()).tidy(idle_seconds)

    def check_writable(self) -> None:
        """Create and remove an object; raise StorageError if it can be created twice: writers would race."""
        probe = f".probe-{uuid.uuid4().hex}"
        created = [self.create(probe, b"first"), self.create(probe, b"second")]
        self.remove(probe)
        if created != [True, False]:
            raise StorageError(f"{self._uri}: creates an object that exists already, so that writers may race")
        if self._uri.startswith("memory://"):
            raise StorageError(f"{self._uri}: exists only in this process; a folder or an object store is needed")

    @contextlib.contextmanager
    def _open(self, name: str = "", *, to_write: bool = False) -> Iterator[tuple[Any, str]]:
        """Yield fsspec's filesystem and a name's path in it; convert each backend's own errors to one-line InputErrors.

        FileExistsError, FileNotFoundError and a full local disk are raised unchanged. With `to_write`, only a missing
        bucket raises FileNotFoundError, which becomes a StorageError.
        """
        uri = f"{self._uri}/{name}" if name else self._uri
        try:
            store, path = fsspec.url_to_fs(uri, **FRESH)
            yield store, path.rstrip("/")
        except FileExistsError:
            raise
        except FileNotFoundError as error:
            if not to_write:
                raise
            raise StorageError(f"{self._uri}: can't be written ({first_line(error)})") from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno in files.DISK_FULL_ERRNOS:
                raise
            raise storage_error(f"{uri}: can't be used", error) from error


Storage = FolderStorage | ObjectStorage


def storage_at(uri: str | Path, *, keep_copies: bool = False) -> Storage:
    """Return the storage at a path or URI; raise InputError for a protocol that no installed package supports.

    With `keep_copies`, local copies of an object store's folders are kept for later processes, for large files.
    """
    check_uri(uri, "a store is a folder or an address")
    path = local_path(uri)
    if path is not None:
        return FolderStorage(path)
    check_protocol(str(uri), str(uri))
    return ObjectStorage(str(uri), keep_copies=keep_copies)


@cache
def _process_folder() -> Path:
    """Create a folder that is removed when this process exits."""
    folder = tempfile.mkdtemp(prefix="digit-retraining-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
