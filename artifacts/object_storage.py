"""A storage in an object store, at an address that fsspec knows, such as `s3://bucket/digits`.

Object stores put single objects in place at once, but no folder. So a folder has two markers beside it: one as long as
it is filled or emptied, one with the sizes of its files while it is whole, which alone makes it count. On this machine
there are copies of folders, for who needs paths.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import hashlib
import json
import shutil
import tempfile
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import fsspec
from platformdirs import user_cache_path

from artifacts import files, lease
from artifacts.storage import LOCK
from schemas.errors import InputError, StoreError, UnavailableError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

UNDER_WAY, WHOLE = ".new-", ".whole-"
MARKERS = (UNDER_WAY, WHOLE)
FULL = (errno.ENOSPC, errno.EDQUOT)
TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
FRESH = {"use_listings_cache": False}
"""What another process has changed is to be seen."""


class ObjectStorage:
    """An address and what is below it."""

    def __init__(self, address: str, *, copies_stay: bool = False) -> None:
        """Name the address; nothing is asked of it yet."""
        self._address = address.rstrip("/")
        self._copies_stay = copies_stay

    @classmethod
    def known(cls, address: str) -> Self:
        """Give the storage at an address; raise InputError if no installed package knows its kind."""
        try:
            fsspec.get_filesystem_class(address.split("://", maxsplit=1)[0])
        except (ImportError, ValueError) as error:
            raise InputError(f"store {address}: {first_line(error)}") from error
        return cls(address)

    def __str__(self) -> str:
        """Give the address."""
        return self._address

    def at(self, name: str) -> ObjectStorage:
        """Give the address below this one."""
        return ObjectStorage(f"{self._address}/{name}", copies_stay=self._copies_stay)

    def names(self) -> list[str]:
        """List files and folders, but for those that aren't whole."""
        found = self._listed()
        return [
            name
            for name in found
            if not name.startswith(MARKERS) and (f"{UNDER_WAY}{name}" not in found or f"{WHOLE}{name}" in found)
        ]

    def read(self, name: str) -> bytes:
        """Read an object."""
        with self._reached(name) as (store, path):
            content: bytes = store.cat_file(path)
            return content

    def write(self, name: str, content: bytes) -> None:
        """Put an object, which is one step."""
        with self._written(name) as (store, path):
            store.pipe_file(path, content)

    def append(self, name: str, line: str) -> None:
        """Put the object anew with a line more."""
        try:
            before = self.read(name)
        except FileNotFoundError:
            before = b""
        self.write(name, before + line.encode() + b"\n")

    def claim(self, name: str, content: bytes = b"") -> bool:
        """Put an object that isn't there: S3, Google's and Azure's stores decide who is first."""
        try:
            with self._written(name) as (store, path):
                store.pipe_file(path, content, mode="create")
        except FileExistsError:
            return False
        return True

    def remove(self, name: str) -> None:
        """Remove an object."""
        with contextlib.suppress(FileNotFoundError), self._reached(name) as (store, path):
            store.rm_file(path)

    def remove_folder(self, name: str) -> None:
        """Remove what makes it count before its objects, and the copy on this machine."""
        shutil.rmtree(self.scratch() / name, ignore_errors=True)
        if f"{WHOLE}{name}" in self._listed():
            self.write(f"{UNDER_WAY}{name}", b"")
            self.remove(f"{WHOLE}{name}")
        with contextlib.suppress(FileNotFoundError), self._reached(name) as (store, path):
            store.rm(path, recursive=True)
        self.remove(f"{UNDER_WAY}{name}")

    @contextlib.contextmanager
    def new_folder(self, name: str) -> Iterator[Path]:
        """Give a folder of this machine, which is brought there in the end, and is its copy from then on."""
        copy = self.scratch() / name
        with files.new_folder(copy) as folder:
            yield folder
            sizes = {file.name: file.stat().st_size for file in folder.iterdir()}
            self.write(f"{UNDER_WAY}{name}", b"")
            with self._written(name) as (store, path):
                store.put([str(folder / file) for file in sizes], [f"{path}/{file}" for file in sizes])
            self.write(f"{WHOLE}{name}", json.dumps(sizes).encode())
            self.remove(f"{UNDER_WAY}{name}")
            shutil.rmtree(copy, ignore_errors=True)  # of what had the name before

    def has_folder(self, name: str) -> bool:
        """Tell whether all files of a folder are there, as long as they were; a rule of the store may remove some."""
        try:
            made: dict[str, int] = json.loads(self.read(f"{WHOLE}{name}"))
        except FileNotFoundError:
            return False
        return {file: entry["size"] for file, entry in self._listed(name).items()} == made

    def folder(self, name: str) -> Path:
        """Give the path of a copy, made if there is none on this machine."""
        copy = self.scratch() / name
        if copy.is_dir():
            return copy
        self.read(f"{WHOLE}{name}")  # or it isn't one
        names = [file for file, entry in self._listed(name).items() if entry["type"] == "file"]
        try:
            with files.new_folder(copy) as folder, self._reached(name) as (store, path):
                store.get([f"{path}/{file}" for file in names], [str(folder / file) for file in names])
        except OSError as error:
            if error.errno not in TAKEN or not copy.is_dir():
                raise  # else it was fetched by somebody else meanwhile
        return copy

    def keeping_copies(self) -> ObjectStorage:
        """Give the same address with copies in the person's cache, in place of a folder that goes with the process."""
        return ObjectStorage(self._address, copies_stay=True)

    def scratch(self) -> Path:
        """Give the folder of the copies."""
        kept = user_cache_path("digit-retraining") if self._copies_stay else _passing()
        folder: Path = kept / hashlib.sha256(self._address.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def absolute(self) -> ObjectStorage:
        """Give itself."""
        return self

    def tidy(self) -> None:
        """Remove the folders that are half there."""
        found = self._listed()
        for name in (name.removeprefix(UNDER_WAY) for name in found if name.startswith(UNDER_WAY)):
            if f"{WHOLE}{name}" in found:  # all but the marker was done, or nothing yet
                self.remove(f"{UNDER_WAY}{name}")
            else:
                self.remove_folder(name)

    def check_writable(self) -> None:
        """Put an object there and remove it."""
        probe = f".probe-{uuid.uuid4().hex}"
        self.write(probe, b"")
        self.remove(probe)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold a lease on the address."""
        with lease.held(self.at(LOCK)):
            yield

    def _listed(self, folder: str = "") -> dict[str, dict[str, Any]]:
        """Give what is directly below the address, or a folder there, by name."""
        try:
            with self._reached(folder) as (store, path):
                entries = store.ls(path.rstrip("/"), detail=True)
        except FileNotFoundError:
            return {}
        own = path.strip("/")
        found = {entry["name"].strip("/"): entry for entry in entries}
        return {name.rsplit("/", 1)[-1]: entry for name, entry in found.items() if name != own}

    @contextlib.contextmanager
    def _reached(self, name: str) -> Iterator[tuple[Any, str]]:
        """Give fsspec's filesystem and a name's path in it; tell in one line why something couldn't be done.

        Each kind of store has its own errors. What isn't there, or is there already, is the caller's to judge, and a
        full disk is one of this machine.
        """
        address = f"{self._address}/{name}" if name else self._address
        try:
            store, path = fsspec.url_to_fs(address, **FRESH)
            yield store, path
        except (FileNotFoundError, FileExistsError, StoreError):
            raise
        except (PermissionError, NotImplementedError) as error:
            raise StoreError(f"{address}: can't be used ({first_line(error)})") from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            raise UnavailableError(f"{address}: can't be reached ({first_line(error)})") from error

    @contextlib.contextmanager
    def _written(self, name: str) -> Iterator[tuple[Any, str]]:
        """As `_reached`, where nothing has to be there but what the address itself lies in."""
        try:
            with self._reached(name) as (store, path):
                yield store, path
        except FileNotFoundError as error:
            raise StoreError(f"{self._address}: can't be written ({first_line(error)})") from error


@cache
def _passing() -> Path:
    """Make a folder that goes with this process."""
    folder = tempfile.mkdtemp(prefix="digit-retraining-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
