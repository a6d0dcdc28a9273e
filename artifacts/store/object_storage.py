"""A storage in an object store, at an address that fsspec knows, such as `s3://bucket/digits`.

Object stores put single objects in place at once, but no folder. So a folder has two markers beside it: one as long as
it is filled or emptied, one with the sizes of its files while it is whole, which alone makes it count. On this machine
there are copies of folders, for who needs paths.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import fsspec
from platformdirs import user_cache_path

from artifacts import files
from artifacts.store import lease
from artifacts.uri import check_protocol, storage_error
from schemas.errors import InputError, StorageError, StoreError, UnavailableError, first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNDER_WAY, WHOLE = ".new-", ".whole-"
MARKERS = (UNDER_WAY, WHOLE)
LEASE = ".lease"
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
        check_protocol(address, f"store {address}")
        return cls(address)

    def __str__(self) -> str:
        """Give the address."""
        return self._address

    def child(self, name: str) -> ObjectStorage:
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
        whole = before[: before.rfind(b"\n") + 1]
        self.write(name, whole + line.encode() + b"\n")

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
        self.discard(name)
        if name in self._listed():
            self.write(f"{UNDER_WAY}{name}", b"")
            self.remove(f"{WHOLE}{name}")
        with contextlib.suppress(FileNotFoundError), self._reached(name) as (store, path):
            store.rm(path, recursive=True)
        self.remove(f"{UNDER_WAY}{name}")

    def remove_empty(self, name: str) -> None:
        """Do nothing: what has nothing in it isn't there."""

    @contextlib.contextmanager
    def new_folder(self, name: str, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
        """Give a folder of this machine, which is brought there in the end, and is its copy from then on.

        Bringing it there may take long: so `check` is called before, and again before it counts.
        """
        copy = self.scratch() / name
        with files.new_folder(copy) as folder:
            yield folder
            check()
            sizes = {file.name: file.stat().st_size for file in folder.iterdir()}
            self.write(f"{UNDER_WAY}{name}", b"")
            try:
                self._bring(name, folder, sizes)
            except InputError:
                self._check_or_remove(name, check)
                raise
            self._check_or_remove(name, check)
            self.write(f"{WHOLE}{name}", json.dumps(sizes).encode())
            self.remove(f"{UNDER_WAY}{name}")
            shutil.rmtree(copy, ignore_errors=True)  # of what had the name before

    def _bring(self, name: str, folder: Path, sizes: dict[str, int]) -> None:
        """Put the files of a folder of this machine; raise UnavailableError unless they are there then."""
        with self._written(name) as (store, path):
            store.put([str(folder / file) for file in sizes], [f"{path}/{file}" for file in sizes])
        if self._sizes(name) != sizes:
            raise UnavailableError(f"{self._address}/{name}: isn't there as it was brought there")

    def _check_or_remove(self, name: str, check: Callable[[], None]) -> None:
        """Remove what was brought if the lock is lost: who has it may have taken the marker, so that it would count."""
        try:
            check()
        except StoreError:
            with contextlib.suppress(InputError):
                self.remove_folder(name)
            raise

    def has_dir(self, name: str) -> bool:
        """Tell whether all files of a folder are there, as long as they were; a rule of the store may remove some."""
        try:
            self._whole(name)
        except FileNotFoundError:
            return False
        return True

    def local_dir(self, name: str) -> Path:
        """Give the path of a copy, made if there is none on this machine."""
        copy = self.scratch() / name
        with contextlib.suppress(FileNotFoundError):
            os.utime(copy)  # in use
            return copy
        sizes = self._whole(name)
        try:
            with files.new_folder(copy) as folder:
                with self._reached(name) as (store, path):
                    store.get([f"{path}/{file}" for file in sizes], [str(folder / file) for file in sizes])
                if {file.name: file.stat().st_size for file in folder.iterdir()} != sizes:
                    raise FileNotFoundError(f"{self._address}/{name}: changed while it was fetched")
        except OSError:
            if not copy.is_dir():
                raise  # else it was fetched by somebody else meanwhile
        return copy

    def sums(self, name: str) -> dict[str, str]:
        """Fetch and hash the objects."""
        found = {}
        for file, entry in self._listed(name).items():
            content = self.child(name).read(file) if entry["type"] == "file" else None
            found[file] = "" if content is None else hashlib.sha256(content).hexdigest()
        return found

    def discard(self, name: str) -> None:
        """Remove the copy."""
        shutil.rmtree(self.scratch() / name, ignore_errors=True)

    def keeping_copies(self) -> ObjectStorage:
        """Give the same address with copies in the person's cache, in place of a folder that goes with the process."""
        return ObjectStorage(self._address, copies_stay=True)

    def scratch(self) -> Path:
        """Give the folder of the copies; raise StorageError if it can't be made."""
        kept = user_cache_path("digit-retraining") if self._copies_stay else _passing()
        folder: Path = kept / hashlib.sha256(self._address.encode()).hexdigest()[:16]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{folder}: can't be made for copies of {self._address} ({error.strerror})") from error
        return folder

    def absolute(self) -> ObjectStorage:
        """Give itself."""
        return self

    def tidy(self, *_names: str, idle_seconds: float = 0) -> None:
        """Remove the folders that are half there; files never are."""
        found = self._listed()
        for name in (name.removeprefix(UNDER_WAY) for name in found if name.startswith(UNDER_WAY)):
            if idle_seconds and not self._is_idle(f"{UNDER_WAY}{name}", idle_seconds):
                continue
            if f"{WHOLE}{name}" in found:  # all but the marker was done, or nothing yet
                self.remove(f"{UNDER_WAY}{name}")
            else:
                self.remove_folder(name)

    def _is_idle(self, name: str, seconds: float) -> bool:
        """Tell whether an object was put there so long ago; no where the store can't tell."""
        try:
            with self._reached(name) as (store, path):
                modified: datetime = store.modified(path)
        except (FileNotFoundError, StorageError):
            return False
        return (datetime.now(tz=UTC) - modified).total_seconds() > seconds

    def check_writable(self) -> None:
        """Put an object there and remove it; a second one of that name must be refused, or there would be no lock."""
        probe = f".probe-{uuid.uuid4().hex}"
        claimed = [self.claim(probe), self.claim(probe)]
        self.remove(probe)
        if claimed != [True, False]:
            raise StorageError(
                f"{self._address}: two processes may put the same object there, so that it can't be locked"
            )
        if self._address.startswith("memory://"):
            raise StorageError(f"{self._address}: ends with its process; a folder or an object store is needed")

    @contextlib.contextmanager
    def locked(self) -> Iterator[Callable[[], None]]:
        """Hold a lease on the address."""
        with lease.held(self.child(LEASE)) as check_held:
            yield check_held

    def _whole(self, name: str) -> dict[str, int]:
        """Give the sizes of a folder's files; raise FileNotFoundError if it isn't whole.

        One without markers, brought there by other means, counts as it is.
        """
        found = self._sizes(name)
        try:
            made: dict[str, int] = json.loads(self.read(f"{WHOLE}{name}"))
        except FileNotFoundError:
            made = {} if f"{UNDER_WAY}{name}" in self._listed() else found
        if not found or found != made:
            raise FileNotFoundError(f"{self._address}/{name}")
        return found

    def _sizes(self, name: str) -> dict[str, int]:
        return {file: entry["size"] for file, entry in self._listed(name).items() if entry["type"] == "file"}

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
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in files.FULL:
                raise
            raise storage_error(f"{address}: can't be used", error) from error

    @contextlib.contextmanager
    def _written(self, name: str) -> Iterator[tuple[Any, str]]:
        """As `_reached`, where nothing has to be there but what the address itself lies in."""
        try:
            with self._reached(name) as (store, path):
                yield store, path
        except FileNotFoundError as error:
            raise StorageError(f"{self._address}: can't be written ({first_line(error)})") from error


@cache
def _passing() -> Path:
    """Make a folder that goes with this process."""
    folder = tempfile.mkdtemp(prefix="digit-retraining-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
