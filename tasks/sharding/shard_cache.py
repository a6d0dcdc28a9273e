"""The cache of shards: each is read and checked once, and its valid rows are stored as compact arrays.

A cached shard is a folder. Its name is a digest of all that determines its content: the SHA-256 of the file, the
repairs, and the code that reads and checks. Each run hashes each file, at more than 1 GB/s, because modification time
and size aren't reliable; a remote file is downloaded for that.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from artifacts.code_digest import code_digest
from artifacts.store.folder_storage import DAY, FolderStorage
from artifacts.store.storage import Storage
from artifacts.uri import SCHEME, error_reason, storage_error
from schemas.errors import ENVIRONMENT_ERRORS, InputError, StoreError, UnavailableError
from schemas.rules import Rules
from schemas.shards import Shard
from tasks.sharding.images import PixelFile
from tasks.sharding.memory import WORKERS, batch_rows
from tasks.sharding.shard_writer import ARRAYS, PIXELS, SUMMARY, read_batches, write_shard
from tasks.sources.formats import FORMATS, find_shard_format
from tasks.sources.shards import COPY_PREFIX, local_copy

UNUSED_DAYS = 14


class ShardJob(NamedTuple):
    """A shard to cache in the storage; picklable, for another process or machine.

    `scale` is that of all images.
    """

    shard: Shard
    storage: Storage
    rules: Rules
    scale: str

    def absolute(self) -> ShardJob:
        """Return the same job for a process with another working directory."""
        shard = self.shard
        if SCHEME not in shard.address:
            shard = shard._replace(address=str(Path(shard.address).absolute()))
        return self._replace(shard=shard)


class CachedShard(NamedTuple):
    """The summary of a cached shard, whose arrays are in the folder `key` of the storage.

    `scales` counts the input rows by their scale; `notes` say what was guessed. An unusable shard isn't cached, and has
    a `fault`.
    """

    shard: Shard
    storage: Storage
    sha256: str = ""
    key: str = ""
    n_input: int = 0
    n_valid: int = 0
    scales: Mapping[str, int] = {}
    notes: Sequence[str] = ()
    fault: str = ""

    @property
    def pixels(self) -> PixelFile:
        """The file with the pixels of the valid rows."""
        return PixelFile(self.storage, self.key, PIXELS, self.n_valid)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Read `labels`, `digests` and `positions` of the valid rows, and the positions of invalid ones by reason."""
        with np.load(self.storage.local_dir(self.key) / ARRAYS, allow_pickle=False) as archive:
            return dict(archive)


class ShardCache(NamedTuple):
    """The storage of cached shards, and a function that runs jobs and returns results in the same order."""

    storage: Storage
    run: Callable[[Sequence[ShardJob]], Sequence[CachedShard]]


def in_threads(jobs: Sequence[ShardJob]) -> list[CachedShard]:
    """Cache shards in threads of this process."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(cache_shard, jobs))


def cache_shard(job: ShardJob) -> CachedShard:
    """Cache a shard unless it is already cached; an unusable one is returned with a fault.

    Raises StoreError if the cache can't be written, UnavailableError if the shard is temporarily unavailable or changes
    while it is read; no partial result is left then.
    """
    if job.shard.fault:
        return CachedShard(job.shard, job.storage, fault=job.shard.fault)
    try:
        with local_copy(job.shard, job.storage.scratch()) as path, _unchanged(path, job.shard) as check:
            sha256 = _sha256(path, job.shard)
            key = _key(sha256, job)
            folder = _find_folder(job.storage, key)
            if not folder:
                _write(path, key, job, check)
                folder = job.storage.local_dir(key)
        os.utime(folder)  # the time that `sweep` checks
        counts = json.loads((folder / SUMMARY).read_text("utf-8"))["counts"]
    except ENVIRONMENT_ERRORS:
        raise
    except InputError as error:
        return CachedShard(job.shard, job.storage, fault=str(error))
    except OSError as error:
        message = f"{job.shard.address}: can't be cached in {job.storage} ({error_reason(error)})"
        raise StoreError(f"{message}; the next run resumes with the shards that aren't cached yet") from error
    return CachedShard(job.shard, job.storage, sha256, key, **counts)


def read_input(cached: CachedShard, positions: NDArray[np.int64], rules: Rules) -> Iterator[pd.DataFrame]:
    """Read some rows of a shard again, as in the file, by ascending positions, in batches that fit in the memory.

    Raises UnavailableError if the file isn't the one that was cached.
    """
    try:
        with local_copy(cached.shard, cached.storage.scratch()) as path, _unchanged(path, cached.shard):
            if _sha256(path, cached.shard) != cached.sha256:
                raise _changed_error(cached.shard)
            start = 0
            for frame in read_batches(path, rules, batch_rows(rules.memory)):
                stop = start + len(frame)
                first, last = np.searchsorted(positions, [start, stop])
                yield frame.iloc[positions[first:last] - start]
                start = stop
                if len(positions) and start > positions[-1]:
                    return
    except ENVIRONMENT_ERRORS:
        raise
    except InputError as error:  # it could be read before
        raise _changed_error(cached.shard) from error


def sweep(storage: Storage) -> None:
    """Remove shards that no run has used for two weeks, and temporary files of killed processes after a day.

    In an object store only the copies on this machine are removed; a lifecycle rule has to remove the rest.
    """
    try:
        folder = FolderStorage(storage.scratch())
        storage.tidy(DAY)
    except (InputError, OSError):  # caching reports it
        return
    for name in folder.names():
        days = 1 if name.startswith(COPY_PREFIX) else UNUSED_DAYS
        with contextlib.suppress(FileNotFoundError):  # another run has removed it
            if time.time() - folder.local_dir(name).stat().st_mtime > days * DAY:
                folder.remove_folder(name)


def _find_folder(storage: Storage, key: str) -> Path | None:
    """Return the folder of a cached shard, or None; a damaged one is removed, a local copy fetched again."""
    with contextlib.suppress(FileNotFoundError):
        for _ in range(2):
            folder = storage.local_dir(key)
            if _is_intact(folder, storage.child(key).sizes()):
                return folder
            storage.discard(key)
    return None


def _is_intact(folder: Path, stored: Mapping[str, int]) -> bool:
    """Check whether all files of a cached shard, local and in the store, have the sizes stated in its summary."""
    try:
        sizes = json.loads((folder / SUMMARY).read_text("utf-8"))["bytes"]
        return all(stored.get(name) == size == (folder / name).stat().st_size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def _sha256(path: Path, shard: Shard) -> str:
    """Return a shard's digest; raise InputError, before all of it is read, for a file that can't be a shard."""
    try:
        find_shard_format(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise storage_error(f"{shard.address}: can't be read", error) from error


@contextlib.contextmanager
def _unchanged(path: Path, shard: Shard) -> Iterator[Callable[[], None]]:
    """Raise UnavailableError, instead of any other error, if a file changes inside the `with`; yield the check."""
    identity = _identity(path)

    def check() -> None:
        if _identity(path) != identity:
            raise _changed_error(shard)

    try:
        yield check
    except Exception:
        check()
        raise
    check()


def _identity(path: Path) -> tuple[int, ...]:
    """Return numbers that change when a file is modified or replaced; () if it doesn't exist."""
    try:
        stat = path.stat()
    except OSError:
        return ()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _changed_error(shard: Shard) -> UnavailableError:
    return UnavailableError(f"{shard.address}: changed while the run read it")


def _key(sha256: str, job: ShardJob) -> str:
    # The registry names readers by strings, which the digest can't follow.
    readers = [fmt.reader for fmt in FORMATS if fmt.shard_suffixes]
    code = code_digest("tasks.sharding.shard_writer", *readers)
    rules = job.rules.model_dump(include={"repair", "relabel", "label_column", "header"})
    parts = {"content": sha256, "rules": rules, "scale": job.scale, "code": code}
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _write(path: Path, key: str, job: ShardJob, check: Callable[[], None]) -> None:
    """Write a shard into a new folder, atomically, after a last check that the file hasn't changed."""
    try:
        # write_shard flushes the arrays; whatever else a power failure leaves out is detected.
        with job.storage.new_folder(key, flush=False) as folder:
            write_shard(path, folder, job.rules, job.scale, job.shard.n_rows)
            check()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not _find_folder(job.storage, key):
            raise  # else another run has cached the same shard meanwhile
