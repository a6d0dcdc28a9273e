"""Write files and folders atomically: complete or not at all, even if the process is killed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a full disk or quota."""
PROBE_BYTES = 2**22
"""Size of a file that is written to find out whether a disk has space; random bytes can't be compressed."""
TEMPORARY_PREFIX = ".new-"
"""Prefix of incomplete files and folders; those that a killed process left may be removed."""


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content in one step; after a crash, the file has the old content or the new one."""
    with new_file(path) as temporary:
        temporary.write_bytes(content)


def create_atomically(path: Path, content: bytes) -> bool:
    """Create a file together with its content and return True; return False if the file exists.

    A file opened with mode `x` would be empty at first. A hard link appears complete, and never replaces a file.
    """
    with _temporary_file(path) as temporary:
        temporary.write_bytes(content)
        _sync(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    _sync(path.parent)
    return True


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield an empty file to fill, which replaces `path` in one step when the `with` block ends without an error."""
    with _temporary_file(path) as temporary:
        temporary.touch(exist_ok=False)
        if path.exists():
            shutil.copymode(path, temporary)
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    _sync(path.parent)


@contextlib.contextmanager
def _temporary_file(path: Path) -> Iterator[Path]:
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path, *, flush: bool = True) -> Iterator[Path]:
    """Yield an empty folder to fill, which is renamed to `path`, a new name, when the `with` ends without an error.

    Without `flush`, the folder may be missing or incomplete after a power failure.
    """
    with temporary_folder(path.parent) as folder:
        yield folder
        if flush:
            move_folder(folder, path)
        else:
            folder.rename(path)


@contextlib.contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Yield an empty folder, which is removed after the `with` block unless it was moved."""
    folder = parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    folder.mkdir()  # not `tempfile`, whose folders nobody else may read: the permissions follow the umask
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move_folder(folder: Path, path: Path) -> None:
    """Flush a folder's files to the disk, then rename the folder on the same disk."""
    for file in folder.rglob("*"):
        _sync(file)
    _sync(folder)
    folder.rename(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Flush a file's content or a folder's entries to the disk, so that a rename survives a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder by name; "" for an entry that isn't a file, such as a broken link."""
    return {path.name: _sha256(path) if path.is_file() else "" for path in sorted(folder.iterdir())}


def tree_checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder and the folders in it, by its path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in files}


def differences(digests: Mapping[str, str], expected: Mapping[str, str], record: str) -> list[str]:
    """Describe the files whose checksums differ from those in a record, or that only one of the two has."""
    faults = []
    for name in sorted({*expected, *digests}):
        if name not in digests:
            faults.append(f"{name} is missing")
        elif name not in expected:
            faults.append(f"{name} isn't listed {record}")
        elif digests[name] != expected[name]:
            faults.append(f"{name} was changed: its SHA-256 is {digests[name][:12]}…, not {expected[name][:12]}…")
    return faults


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
