"""A folder that people put new training data into; accepted files are moved to `done/`, the others to `rejected/`.

Files are moved atomically and never modified. A copy of an accepted file is rejected.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout

from artifacts.files import write_atomically
from artifacts.uri import check_local
from schemas.errors import InputError, first_line
from schemas.text import printable
from tasks.sources.files import check_expanded, entries, open_regular

ROOT = Path(__file__).parents[2]
DONE, REJECTED = "done", "rejected"
REASON = ".reason.txt"
LOCK = ".lock"
"""A file that is locked by a run, and names it."""
HOLDER_SECONDS = 10.0
"""Time to wait for the lock before saying who holds it."""
WALK_ERRORS = (OSError, RecursionError)
"""Errors of listing a folder: one that can't be read, or a thousand folders inside each other."""
STABLE_SECONDS = 3.0
"""A file that changed more recently may still be being written; it is left for the next run."""


class Inbox:
    """An inbox at a path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done, self._rejected = path / DONE, path / REJECTED
        self._accepted_digests: dict[str, Path] = {}

    def check(self, *others: str | Path | None) -> None:
        """Raise InputError unless the folder can be an inbox: writable, and for nothing but new data.

        Everything in an inbox is moved. So it mustn't contain `others` (the sources, the store) or be inside them, and
        mustn't contain the working folder, the project or the home folder.
        """
        check_local(self._path, "--inbox")
        for folder in (self._path, self._done, self._rejected):
            if os.path.lexists(folder) and not folder.is_dir():
                kind = "a broken link" if folder.is_symlink() and not folder.exists() else "a file"
                raise InputError(f"--inbox {self._path}: {folder.absolute()} is {kind}; a folder is needed")
        path = self._path.absolute()
        parent = next(parent for parent in (path, *path.parents) if parent.exists())
        if not parent.is_dir():
            raise InputError(f"--inbox {self._path}: {parent} is a file; a folder is needed")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise InputError(f"--inbox {self._path}: {parent} can't be written; a folder that can be is needed")
        self._check_apart([Path(other).resolve() for other in others if other is not None])

    def check_unused(self, source: str) -> None:
        """Raise InputError if the inbox has files, which can't be added to a sharded source."""
        if files := self.files():
            raise InputError(
                f"--inbox {self._path}: {printable(files[0].name)} and other files in it can't be added to {source}, "
                "which is shards; use an inbox without files, or none"
            )

    @contextmanager
    def locked(self, log: Callable[[str], None]) -> Iterator[None]:
        """Create missing folders, and lock the inbox against other runs inside the `with`; log who makes it wait."""
        try:
            for folder in (self._done, self._rejected):
                folder.mkdir(parents=True, exist_ok=True)
            lock = self._acquire(log)
        except OSError as error:
            if error.errno in {errno.ENOSYS, errno.ENOLCK}:
                message = f"its disk has no locks ({error.strerror}); use a folder on another one"
                raise InputError(f"--inbox {self._path}: {message}") from error
            message = f"{error.filename} can't be made ({error.strerror}); a folder that can be written is needed"
            raise InputError(f"--inbox {self._path}: {message}") from error
        with lock:
            yield

    def _acquire(self, log: Callable[[str], None]) -> AcquireReturnProxy:
        path = self._path / LOCK
        lock = FileLock(path, fallback_to_soft=False, on_acquired=_write_holder)  # two processes may hold a soft lock
        with suppress(Timeout):
            return lock.acquire(HOLDER_SECONDS)
        holder = path.read_text("utf-8", errors="replace")
        log(f"--inbox {self._path}: locked by {holder}; this run waits; if that process hangs, end it")
        return lock.acquire()

    def _check_apart(self, others: list[Path]) -> None:
        inbox = self._path.resolve()
        for path in (*others, *map(Path.resolve, (Path(), ROOT, Path.home()))):
            if path.is_relative_to(inbox) or (path in others and inbox.is_relative_to(path)):
                relation = "is" if path == inbox else "contains" if path.is_relative_to(inbox) else "is inside"
                raise InputError(
                    f"--inbox {self._path}: it {relation} {path}, and everything in an inbox is moved; "
                    "use a folder for new files only"
                )

    def files(self) -> list[Path]:
        """Return the files and folders that wait, and those that were accepted."""
        return [path for folder in (self._path, self._done) if folder.is_dir() for path in self._entries(folder)]

    def accepted(self) -> list[Path]:
        """Return all accepted files and folders, sorted by name."""
        return [path.resolve() for path in self._entries(self._done)]

    def counts(self) -> dict[str, int]:
        """Return the numbers of accepted and of rejected files and folders."""
        n_accepted = len(self.accepted()) if self._done.is_dir() else 0
        return {DONE: n_accepted, REJECTED: len(list(self._rejected.glob(f"*{REASON}")))}

    def waiting(self) -> tuple[list[Path], list[Path]]:
        """Return the files and folders that wait to be checked, and those that may still be written.

        The disk's clock is asked, not ours. A file with a later time was written before the clock was set back.
        """
        files = self._entries(self._path)
        with tempfile.TemporaryFile(dir=self._path) as probe:
            now = os.fstat(probe.fileno()).st_ctime
        stable = [path for path in files if abs(now - _change_time(path, now)) > STABLE_SECONDS]
        return stable, [path for path in files if path not in stable]

    def find_accepted(self, digest: str) -> Path | None:
        """Return the accepted file with a digest, or None; only files of the same size are hashed."""
        for path in self._unhashed.pop(digest.partition("-")[0], ()):
            with suppress(*WALK_ERRORS, InputError):
                self._accepted_digests[digest_content(path)] = path
        return self._accepted_digests.get(digest)

    def accept(self, path: Path, digest: str) -> Path | None:
        """Move a file to `done/` and return its new path; None if it has changed since it was read, and stays."""
        target = _free_path(self._done / path.name)
        _move(path, target)
        if has_changed(target, digest):
            _move(target, _free_path(path))
            return None
        self._accepted_digests[digest] = target.resolve()
        return target.resolve()

    def reject(self, path: Path, reason: str) -> Path:
        """Move a file to `rejected/`, with the reason beside it; return its new path."""
        target = _free_path(self._rejected / path.name, REASON)
        reason_file = target.with_name(target.name + REASON)
        try:
            write_atomically(reason_file, f"{reason}\n".encode())
            path.rename(target)
        except OSError as error:
            with suppress(OSError):
                reason_file.unlink()
            raise _move_error(path, target, error) from error
        return target

    def _entries(self, folder: Path) -> list[Path]:
        return [path for path in entries(folder) if path not in {self._done, self._rejected}]

    @cached_property
    def _unhashed(self) -> dict[str, list[Path]]:
        """The accepted files that aren't hashed yet, by size."""
        paths: dict[str, list[Path]] = {}
        for path in self.accepted():
            with suppress(*WALK_ERRORS):
                paths.setdefault(str(total_bytes(path)), []).append(path)
        return paths


def check_file(path: Path, max_mib: int) -> None:
    """Raise InputError for a hidden character in a name, a link, a pipe, a large file; OSError if it can't be read."""
    if path.name != printable(path.name):
        raise InputError(f"{printable(path.name)}: a name with hidden characters; rename it")
    if path.is_symlink():
        raise InputError(f"{path.name}: a link; the file itself is needed")
    if not path.is_file() and not path.is_dir():
        raise InputError(f"{path.name}: neither a file nor a folder")
    check_expanded(Path(path.name), total_bytes(path), max_mib)


def has_changed(path: Path, digest: str) -> bool:
    """Check whether a file has another content than the one with a digest; raise InputError if it can't be read."""
    try:
        return str(total_bytes(path)) != digest.partition("-")[0] or digest_content(path) != digest
    except WALK_ERRORS as error:
        raise InputError(f"{path.name}: can't be read ({first_line(error)})") from error


def digest_content(path: Path) -> str:
    """Return the size of a file or a folder's files in bytes, and the SHA-256 of their content and names."""
    digest = hashlib.sha256()
    for file in _list_files(path):
        with open_regular(file) as content:
            name = os.fsencode(file.relative_to(path))
            digest.update(name + hashlib.file_digest(content, "sha256").digest())
    return f"{total_bytes(path)}-{digest.hexdigest()}"


def total_bytes(path: Path) -> int:
    """Return the size of a file, or of a folder's files."""
    return sum(file.stat().st_size for file in _list_files(path))


def _list_files(path: Path) -> list[Path]:
    """List a file, or the files below a folder, sorted; raise OSError for a folder that can't be read."""
    if path.is_file():
        return [path]

    def fail(error: OSError) -> None:
        raise error

    paths = (Path(folder, name) for folder, _, names in os.walk(path, onerror=fail) for name in names)
    return sorted(file for file in paths if file.is_file())


def _write_holder(descriptor: int) -> None:
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())


def _change_time(path: Path, now: float) -> float:
    """Return when a file, or anything in a folder, was last changed, moved or created (`st_ctime`)."""
    try:
        return max(entry.lstat().st_ctime for entry in [path, *path.rglob("*")])
    except FileNotFoundError:  # removed just now
        return now
    except WALK_ERRORS:
        return 0.0  # reading it reports why


def _move(path: Path, target: Path) -> None:
    try:
        path.rename(target)
    except OSError as error:
        raise _move_error(path, target, error) from error


def _move_error(path: Path, target: Path, error: OSError) -> InputError:
    return InputError(f"{path.name}: can't be moved to {target.parent.name}/ ({error.strerror})")


def _free_path(path: Path, suffix: str = "") -> Path:
    """Return the path, with a number added if it exists, or exists with the suffix."""
    free, number = path, 1
    while os.path.lexists(free) or os.path.lexists(f"{free}{suffix}"):
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
