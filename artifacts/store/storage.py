"""Named objects in a folder or an object store: the storage backends of the store of versions.

Both classes have the same methods, documented in `FolderStorage`. The backend has to support few operations: list,
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
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any

import fsspec
from platformdirs import user_cache_path

from artifacts import files
from artifacts.uri import check_protocol, check_uri, local_path, storage_error
from schemas.errors import InputError, StorageError, UnavailableError, first_line

RETIRED_PREFIX = ".old-"
"""Prefix of folders that are being removed."""
DAY = 86_400
"""Seconds after which a temporary file counts as abandoned."""
FRESH = {"use_listings_cache": False}
"""Options that make fsspec list what other processes have changed."""
RETRY_SECONDS = (0.2, 1.0)
"""Pauses before retrying to create an object; only the response of the failed attempt may have been lost."""


class FolderStorage:
    """A folder on this machine, or on a disk that several machines mount.

    Picklable; nothing is created before something is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def child(self, name: str) -> FolderStorage:
        return FolderStorage(self._path / name)

    def names(self) -> list[str]:
        """Return the names of all files and folders here, in no order; [] if this folder doesn't exist."""
        return [entry.name for entry in self._path.iterdir()] if self._path.is_dir() else []

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of each file here and in the folders below, by its path such as `7/card.json`."""
        found = {}
        for folder, _, names in os.walk(self._path):
            for path in (Path(folder, name) for name in names):
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    found[path.relative_to(self._path).as_posix()] = path.stat().st_size
        return found

    def read(self, name: str) -> bytes:
        """Read a file; raise FileNotFoundError if it doesn't exist."""
        return (self._path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Create or replace a file in one step."""
        files.write_atomically(self.scratch() / name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Create a file in one step and return True; return False if it exists with another content.

        Of several callers with different contents, one gets True. A caller whose own content is already there also gets
        True: it retries because the response was lost.
        """
        path = self.scratch() / name
        return files.create_atomically(path, content) or path.read_bytes() == content

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        (self._path / name).unlink(missing_ok=True)

    def remove_folder(self, name: str) -> None:
        """Remove a folder if it exists; it is renamed first, so that it never appears with only some of its files."""
        path = self._path / name
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path.rename(path.with_name(f"{RETIRED_PREFIX}{uuid.uuid4().hex}")), ignore_errors=True)

    def add_folder(self, folder: Path, name: str) -> None:
        """Add a temporary folder, made in `scratch`, under a new name."""
        files.move_folder(folder, self._path / name)

    def new_folder(self, name: str) -> AbstractContextManager[Path]:
        """Yield an empty folder to fill; it is added under its name when the `with` block ends without an error."""
        return files.new_folder(self.scratch() / name)

    def local_dir(self, name: str, *, fresh: bool = False) -> Path:  # noqa: ARG002, there is no copy
        """Return the path of a folder, or of its copy on this machine, downloaded again if `fresh`.

        Raises FileNotFoundError if it doesn't exist.
        """
        path = self._path / name
        if not path.is_dir():
            raise FileNotFoundError(path)
        return path

    def discard(self, name: str) -> None:
        """Remove a damaged folder; for an object store, remove only the local copy, which is then downloaded again."""
        self.remove_folder(name)

    def scratch(self) -> Path:
        """Return a folder on this machine for temporary files."""
        self._path.mkdir(parents=True, exist_ok=True)
        return self._path

    def absolute(self) -> FolderStorage:
        """Return this storage with an absolute path, for a process with another working directory."""
        return FolderStorage(self._path.absolute())

    def tidy(self, idle_seconds: float) -> None:
        """Remove temporary files and folders on this machine that weren't changed for `idle_seconds`."""
        for name in self.names():
            path = self._path / name
            with contextlib.suppress(FileNotFoundError):  # finished or removed meanwhile
                if (
                    not name.startswith((files.TEMPORARY_PREFIX, RETIRED_PREFIX))
                    or time.time() - path.stat().st_mtime < idle_seconds
                ):
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
                FolderStorage(folder / probe).create("probe", b"")
        except OSError as error:
            raise InputError(
                f"{self._path}: can't be written ({folder}: {error.strerror}); choose a writable folder "
                "on a disk with hard links"
            ) from error


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
    def new_folder(self, name: str) -> Iterator[Path]:
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
