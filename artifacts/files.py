"""Write files and folders so that they are there whole or not at all, whatever happens meanwhile."""

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What a full disk ails."""
TEMPORARY = ".new-"
"""What a folder under way begins with; one that a killed process left may be removed."""


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content in one step; after a crash the old content or the new one is there."""
    with new_file(path) as temporary, temporary.open("wb") as file:
        file.write(content)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give an empty file to fill; it takes its place, in one step, when the `with` ends well."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.touch(exist_ok=False)
        if path.exists():
            shutil.copymode(path, temporary)
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it gets its name, which must be new, when the `with` ends well."""
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=TEMPORARY))
    try:
        yield temporary
        for file in temporary.iterdir():
            _sync(file)
        sync_folder(temporary)
        temporary.chmod(0o755)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's own entries to the disk, so that a rename survives a power failure."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sums(folder: Path) -> dict[str, str]:
    """Give the SHA-256 of every file in a folder, by name; nothing for what is no file, such as a link to nowhere."""
    found = {}
    for path in sorted(folder.iterdir()):
        if not path.is_file():
            found[path.name] = ""
            continue
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def append_line(path: Path, line: str) -> None:
    """Append a line and bring it to the disk; what a killed process left of its own is taken away first."""
    with path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(0)
            whole = file.read().rfind(b"\n") + 1
            if whole < end:
                file.truncate(whole)
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
