"""Stage a shard: read it in batches, judge its rows, keep those that pass as compact arrays on disk.

A staged shard is a folder of the store named by what decides its content: the SHA-256 of the file's bytes, the repairs,
and the code that reads and judges. A local file is hashed in every run, at more than a gigabyte a second: neither its
time nor its size is relied on. One at an address is fetched and hashed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from artifacts.files import FULL
from artifacts.store.storage import DAY, FolderStorage, Storage
from artifacts.uri import SCHEME, error_reason, storage_error
from schemas import pixel_frame
from schemas.digits import PIXEL_COUNT
from schemas.errors import ENVIRONMENT_ERRORS, InputError, StoreError, UnavailableError
from schemas.images import HEADER, PixelFile
from schemas.pixel_frame import labels_of, pixels_of
from schemas.rules import DEFAULT_INPUT_RULES, TAKEN
from schemas.shards import WORKERS, Shard
from tasks.sources import formats, parquet_table
from tasks.sources.shards import FETCHED, on_disk
from tasks.validation import row_faults
from tasks.validation.check_rows import judge
from tasks.validation.repairs import highest, repaired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from schemas.rules import Repair
    from tasks.validation.check_rows import RowCheckResult

ROOT = Path(__file__).parents[2]
CODE = (
    *(f"schemas/{name}.py" for name in ("digits", "pixel_frame", "row_checks")),
    *(f"tasks/sources/{name}.py" for name in ("csv_table", "files", "frames", "parquet_table")),
    "tasks/sharding/shard_cache.py",
    *(f"tasks/validation/{name}.py" for name in ("check_rows", "repairs", "row_faults")),
)
ROW_BYTES = 48_000
"""What a row may take while it is read and judged: some copies of 785 numbers of 8 bytes."""
PIXELS, SUMMARY = "pixels.npy", "summary.json"
UNUSED_DAYS = 14


class Job(NamedTuple):
    """What is to be done with a shard. Small, and picklable: it may be done in another process or on another machine.

    `repairs` are made on all images; `scaled` tells to bring the result from 0 to 1 up to 0 to 255, unasked.
    """

    shard: Shard
    place: Storage
    repairs: tuple[Repair, ...]
    scaled: bool
    batch_rows: int

    def from_anywhere(self) -> Job:
        """Give the same job with paths that don't depend on a process' working directory."""
        shard = self.shard
        if SCHEME not in shard.address:
            shard = shard._replace(address=str(Path(shard.address).absolute()))
        return self._replace(shard=shard, place=self.place.absolute())


class CachedShard(NamedTuple):
    """What came of a shard, in a few numbers; the folder `key` at a place has the arrays.

    `content` is the SHA-256 of the file's bytes, `highest` the highest of its pixels as they came, `mended` that after
    the repairs.
    """

    shard: Shard
    place: Storage
    content: str = ""
    key: str = ""
    n_input: int = 0
    n_valid: int = 0
    highest: float = 0.0
    mended: float = 0.0
    fault: str = ""

    @property
    def pixels(self) -> PixelFile:
        """Give the file with the pixels of the rows that passed."""
        return PixelFile(CachedFile(self.place, self.key, PIXELS), self.n_valid)

    def array(self, name: str) -> NDArray[np.generic]:
        """Read `labels`, `digests` or `positions` of the rows that passed."""
        array: NDArray[np.generic] = np.load(self.place.local_dir(self.key) / f"{name}.npy", allow_pickle=False)
        return array

    def faults(self) -> dict[str, NDArray[np.int64]]:
        """Read where in the shard the rows stood that didn't pass, by reason."""
        with np.load(self.place.local_dir(self.key) / "faults.npz", allow_pickle=False) as archive:
            return dict(archive)


class CachedFile(NamedTuple):
    """A file of a staged shard, wherever that lies."""

    place: Storage
    key: str
    name: str

    def __str__(self) -> str:
        """Tell where it is."""
        return f"{self.place.child(self.key)}/{self.name}"

    def path(self) -> Path:
        """Give its path on this machine, or that of a copy; raise StoreError if it is gone."""
        try:
            path = self.place.local_dir(self.key) / self.name
            if not path.exists():  # what cleans caches takes single files
                self.place.discard(self.key)
                self.place.local_dir(self.key)  # fetches a copy anew
        except FileNotFoundError:
            raise StoreError(f"{self.place.child(self.key)}: is gone; a rerun stages it anew") from None
        return path

    def absolute(self) -> CachedFile:
        """Give the same file, for a process with another working directory."""
        return self._replace(place=self.place.absolute())


class ShardCache(NamedTuple):
    """Where shards are staged, and what does so many jobs."""

    place: Storage
    run: Callable[[Sequence[Job]], Sequence[CachedShard]]


def in_threads(jobs: Sequence[Job]) -> list[CachedShard]:
    """Stage shards in threads of this process."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(stage, jobs))


def batch_rows(memory: int) -> int:
    """Give how many rows each worker may have in memory at a time, of so many MiB for all."""
    return max(((memory - TAKEN) << 20) // WORKERS // ROW_BYTES, 1024)


def stage(job: Job) -> CachedShard:
    """Stage a shard, if it isn't yet; one that can't be used gives its fault.

    Raises StoreError when the disk is full or can't be written, UnavailableError when a shard can't be had now, or
    changes while it is read: nothing half staged is left then.
    """
    if job.shard.fault:
        return CachedShard(job.shard, job.place, fault=job.shard.fault)
    try:
        with on_disk(job.shard, job.place.scratch()) as path, _unchanged(path, job.shard) as check:
            content = _content(path, job.shard)
            key = _key(content, job)
            folder = _whole(job.place, key)
            if not folder:
                _stage(path, key, job, check)
                folder = job.place.local_dir(key)
        os.utime(folder)  # in use
        counts = json.loads((folder / SUMMARY).read_text())["counts"]
    except ENVIRONMENT_ERRORS:
        raise
    except InputError as error:
        return CachedShard(job.shard, job.place, fault=str(error))
    except OSError as error:
        told = "the disk is full" if error.errno in FULL else error_reason(error)
        raise StoreError(
            f"{job.shard.address}: can't be staged in {job.place} ({told}); a rerun goes on from the shards that are"
        ) from error
    return CachedShard(job.shard, job.place, content, key, **counts)


def as_came(staged: CachedShard, positions: NDArray[np.int64], batch: int) -> Iterator[pd.DataFrame]:
    """Read some rows of a shard once more, as they came, by their ascending positions.

    Raises UnavailableError when it isn't any more what was staged.
    """
    try:
        with on_disk(staged.shard, staged.place.scratch()) as path, _unchanged(path, staged.shard):
            if _content(path, staged.shard) != staged.content:
                raise _changed(staged.shard)
            start = 0
            for frame in _batches(path, batch):
                wanted = positions[np.searchsorted(positions, start) : np.searchsorted(positions, start + len(frame))]
                yield frame.iloc[wanted - start]
                start += len(frame)
                if len(positions) and start > positions[-1]:
                    return
    except ENVIRONMENT_ERRORS:
        raise
    except InputError as error:  # it could be read before
        raise _changed(staged.shard) from error


def sweep(place: Storage) -> None:
    """Remove staged shards that no run has used for two weeks, and what killed processes left a day ago.

    Of what is whole in an object store only the copies on this machine go; a rule of its own has to remove the rest.
    """
    try:
        folder = FolderStorage(place.scratch())
        place.tidy(DAY)
    except (InputError, OSError):  # staging tells of it
        return
    for name in folder.names():
        days = 1 if name.startswith(FETCHED) else UNUSED_DAYS
        with contextlib.suppress(FileNotFoundError):  # another run's, and in its place by now
            if time.time() - folder.local_dir(name).stat().st_mtime > days * DAY:
                folder.remove_folder(name)


def _whole(place: Storage, key: str) -> Path | None:
    """Give the folder of a shard that is staged; one that was damaged goes, or is fetched anew if it is a copy."""
    for _ in range(2):
        try:
            folder = place.local_dir(key)
        except FileNotFoundError:
            break
        if _is_whole(folder, place.child(key).sizes()):
            return folder
        place.discard(key)
    return None


def _is_whole(folder: Path, there: Mapping[str, int]) -> bool:
    """Tell whether what is staged is whole, all its files as long as they were, here and in the store."""
    try:
        sizes = json.loads((folder / SUMMARY).read_text())["bytes"]
        return all(there.get(name) == size == (folder / name).stat().st_size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def _content(path: Path, shard: Shard) -> str:
    """Hash a shard's bytes; raise InputError, UnavailableError if that may pass, when they can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise storage_error(f"{shard.address}: can't be read", error) from error


@contextlib.contextmanager
def _unchanged(path: Path, shard: Shard) -> Iterator[Callable[[], None]]:
    """Raise UnavailableError if a file changes inside the `with`, whatever else came of that; give what looks."""
    version = _version(path)

    def check() -> None:
        if _version(path) != version:
            raise _changed(shard)

    try:
        yield check
    except Exception:
        check()
        raise
    check()


def _version(path: Path) -> tuple[int, ...]:
    """Give what differs once a file is written to, or another one is in its place; nothing for one that is gone."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _changed(shard: Shard) -> UnavailableError:
    return UnavailableError(f"{shard.address}: changed while the run read it")


def _key(content: str, job: Job) -> str:
    parts = {"content": content, "repairs": job.repairs, "scaled": job.scaled, "code": _code()}
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    return hashlib.sha256(b"".join((ROOT / place).read_bytes() for place in CODE)).hexdigest()


def _batches(path: Path, count: int) -> Iterator[pd.DataFrame]:
    """Read a shard so many rows at a time; raise InputError unless it has a labelled pixel frame's columns."""
    for frame in formats.reader(formats.detect_shard_format(path)).batches(path, DEFAULT_INPUT_RULES, count):
        fault = pixel_frame.labelled_column_fault(frame)
        if fault:
            raise InputError(f"{path}: {fault}; label, pixel0 … pixel783 are needed")
        yield frame


def _stage(path: Path, key: str, job: Job, check: Callable[[], None]) -> None:
    """Judge a shard batch by batch into a new folder, which is there whole or not at all, after a last check."""
    try:
        with job.place.new_folder(key) as new:
            _Writer(new).write(_batches(path, _batch_rows(path, job)), job)
            check()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not _whole(job.place, key):
            raise  # else another run has staged the same meanwhile


def _batch_rows(path: Path, job: Job) -> int:
    """Give how many rows to read at a time: more of bytes that stay bytes."""
    stay = not job.scaled and "scale" not in job.repairs
    return parquet_table.as_many(path, job.batch_rows) if stay else job.batch_rows


class _Writer:
    """Writes a staged shard's files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._came, self._highest, self._mended = 0, 0.0, 0.0
        self._labels: list[NDArray[np.uint8]] = []
        self._digests: list[NDArray[np.uint64]] = []
        self._positions: list[NDArray[np.int64]] = []
        self._faults: dict[str, list[NDArray[np.int64]]] = {}

    def write(self, batches: Iterator[pd.DataFrame], job: Job) -> None:
        """Judge the batches and write what there is to keep of them."""
        with (self._folder / PIXELS).open("wb") as file:
            file.write(bytes(HEADER))
            for raw in batches:
                mended = repaired(raw, job.repairs)
                self._note_highest(raw, mended)
                verdict = judge(repaired(mended, ("scale",)) if job.scaled else mended)
                file.write(np.ascontiguousarray(pixels_of(verdict.right)).data)
                self._note(verdict)
            file.seek(0)
            file.write(_header(sum(map(len, self._labels))))
        if not self._came:
            raise InputError(f"{job.shard.address}: no rows")
        self._finish()

    def _note_highest(self, raw: pd.DataFrame, mended: pd.DataFrame) -> None:
        came = highest(raw)
        self._highest = max(self._highest, came)
        self._mended = max(self._mended, came if mended is raw else highest(mended))

    def _note(self, verdict: RowCheckResult) -> None:
        self._labels.append(labels_of(verdict.right).copy())
        self._digests.append(row_faults.digests(pixels_of(verdict.right)))
        self._positions.append(self._came + np.flatnonzero(verdict.kept))
        for fault, failing in verdict.faults.items():
            self._faults.setdefault(fault, []).append(self._came + np.flatnonzero(failing))
        self._came += len(verdict.kept)

    def _finish(self) -> None:
        for name, arrays in (("labels", self._labels), ("digests", self._digests), ("positions", self._positions)):
            np.save(self._folder / f"{name}.npy", np.concatenate(arrays), allow_pickle=False)
        faults = {reason: np.concatenate(found) for reason, found in self._faults.items()}
        np.savez(self._folder / "faults.npz", allow_pickle=False, **faults)
        kept = sum(map(len, self._labels))
        counts = {"n_input": self._came, "n_valid": kept, "highest": self._highest, "mended": self._mended}
        sizes = {file.name: file.stat().st_size for file in self._folder.iterdir()}
        (self._folder / SUMMARY).write_text(json.dumps({"counts": counts, "bytes": sizes}))


def _header(count: int) -> bytes:
    """Give the header of an `.npy` file of so many rows × 784, always 128 bytes."""
    from io import BytesIO

    buffer = BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, PIXEL_COUNT)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()
