"""List the shards of a source: a folder, a pattern, or an address that fsspec knows, such as `s3://bucket/digits/`."""

from __future__ import annotations

import glob
import os
import posixpath
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any, NamedTuple

from artifacts.uri import SCHEME, check_protocol, storage_error
from schemas.errors import ENVIRONMENT_ERRORS, InputError, first_line
from schemas.rules import DEFAULT_INPUT_RULES
from schemas.shards import Shard, ShardManifest
from schemas.text import printable
from tasks.sharding.memory import WORKERS
from tasks.sources import formats
from tasks.sources.files import MAX_RATIO, PARQUET, check_inside, entries, unsuitable
from tasks.sources.parts import PartName, choose_parts, is_ignored, note_left_out, part_folders, part_of, root_of

WILDCARDS = set("*?[")
TRAILER_BYTES = 8
"""Bytes at a Parquet file's end: the length of its footer, and PARQUET."""
TAIL_BYTES = 1 << 17
"""Bytes at a file's end that are read first: most footers are shorter."""
PARALLEL_REQUESTS = 8
SUBMISSION = "submission"
"""Part of the names of files with a competition's answers, beside its data."""
COPY_PREFIX = ".fetched-"
"""Prefix of temporary folders with copies of remote shards."""


class ShardParts(NamedTuple):
    """The shards to train on and, if their names tell them, those to test with; `notes` as in `Frames`."""

    train: ShardManifest
    test: ShardManifest | None = None
    notes: tuple[str, ...] = ()


def is_sharded(source: str) -> bool:
    """Check whether a source is sharded, without opening a file."""
    if SCHEME in source:
        return True
    path = Path(source)
    if path.is_dir():
        return bool(_find_in_folder(path))
    return bool(WILDCARDS & set(source)) and not path.exists()


def check(source: str) -> None:
    """Raise InputError for a pattern that matches nothing, or an address whose protocol isn't known.

    An address isn't listed: that may take a while.
    """
    if SCHEME in source:
        check_protocol(source, source)
    else:
        find_paths(source)


def list_parts(source: str) -> ShardParts:
    """List a source's shards by the parts that their names or folders name; others are trained on."""
    by_part: dict[PartName, list[Shard]] = {}
    unlabelled = []
    shards = list_shards(source).shards
    common = posixpath.commonpath(posixpath.dirname(shard.item) for shard in shards)
    part_by_shard = {shard: _part(posixpath.relpath(shard.item, common or ".")) for shard in shards}
    has_parts = len(set(part_by_shard.values())) > 1
    for shard, part in part_by_shard.items():
        if has_parts and _is_unlabelled(part, shard):
            unlabelled.append(shard.item)
        else:
            by_part.setdefault(part or "train", []).append(shard)
    parts = {part: ShardManifest(tuple(listed)) for part, listed in by_part.items()}
    train, test, notes = choose_parts(parts, {part: manifest.summary for part, manifest in parts.items()})
    notes += note_left_out(unlabelled, "no labels")
    return ShardParts(train, test, notes + note_left_out(_unread(source), "no shards", "other"))


def list_shards(source: str) -> ShardManifest:
    """List a source's shards with their sizes and, for Parquet files, the numbers of rows from their footers.

    An unusable shard has a fault. Raises InputError if there are no shards or they can't be listed.
    """
    if SCHEME in source:
        check_protocol(source, source)
        return ShardManifest(tuple(_list_address(source)))
    paths, folder = find_paths(source), Path(source)
    root = root_of(folder) if folder.is_dir() else None
    items = [printable(path.relative_to(root) if root else path) for path in paths]
    with ThreadPoolExecutor(WORKERS) as pool:  # parsing a footer of 785 columns takes about 2 ms
        return ShardManifest(tuple(pool.map(_inspect_path, paths, items)))


@contextmanager
def local_copy(shard: Shard, folder: Path) -> Iterator[Path]:
    """Yield the path of a local shard, or of a temporary copy, in the folder, of a remote one."""
    if SCHEME not in shard.address:
        yield Path(shard.address)
        return
    import fsspec

    with tempfile.TemporaryDirectory(dir=folder, prefix=COPY_PREFIX) as copies:
        copy = Path(copies) / shard.address.rsplit("/", 1)[-1]
        try:
            files, path = fsspec.url_to_fs(shard.address)
            files.get_file(path, str(copy))
        except Exception as error:  # each kind of store has its own errors
            raise storage_error(f"{shard.address}: can't be fetched", error) from error
        try:
            yield copy
        except ENVIRONMENT_ERRORS:
            raise
        except InputError as error:  # the reader names the copy
            raise InputError(str(error).replace(str(copy), shard.address)) from error


def _no_shards(source: str) -> InputError:
    suffixes = ", ".join(formats.shard_suffixes())
    return InputError(f"{source}: no shards; expected files named {suffixes}, or a pattern that matches some")


def _is_shard(path: Path) -> bool:
    return path.name.endswith(formats.shard_suffixes()) and _is_data(path.name)


def _find_in_folder(folder: Path) -> list[Path]:
    """Find the shards of a folder and of its subfolders that are named like parts."""
    return [entry for folder in _folders(folder) for entry in entries(folder) if _is_shard(entry)]


def _folders(folder: Path) -> list[Path]:
    root = root_of(folder)
    return [root, *(part_root for _, part_root in part_folders(root))]


def _check_train_folder(source: Path, paths: list[Path]) -> None:
    """Raise InputError for a `train` folder without shards: the test part would be trained on."""
    for part, folder in part_folders(root_of(source)):
        if part == "train" and not any(path.parent == folder for path in paths):
            raise InputError(f"{folder}: no shards in the train part; put its files there, not into subfolders")


def _unread(source: str) -> list[str]:
    """Return the names of a folder's files and folders that are neither read nor known to be no data."""
    path = Path(source)
    if SCHEME in source or not path.is_dir():
        return []
    root, folders = root_of(path), _folders(path)
    listed = [entry for folder in folders for entry in entries(folder) if _is_data(entry.name)]
    unread = [entry for entry in listed if not _is_shard(entry) and not is_ignored(entry)]
    return [
        printable(entry.relative_to(root))
        for entry in unread
        if not any(folder.is_relative_to(entry) for folder in folders)
    ]


def _part(path: str) -> PartName | None:
    """Return the part that a path's last name with one tells."""
    return next(filter(None, map(part_of, reversed(path.split("/")))), None)


def _is_unlabelled(part: PartName | None, shard: Shard) -> bool:
    """Check whether a shard on this machine has no labels, as two files of Kaggle's competitions.

    One that can't be read isn't left out: reading it reports the reason.
    """
    if SUBMISSION in shard.item.lower():
        return True
    if part != "test" or SCHEME in shard.address or shard.fault:
        return False
    path = Path(shard.address)
    try:
        columns = next(formats.find_shard_format(path).batches(path, DEFAULT_INPUT_RULES, 1)).columns
    except (InputError, StopIteration):
        return False
    return "label" not in columns and "pixel0" in columns


def _is_data(name: str) -> bool:
    return not name.startswith((".", "_"))  # engines leave `_SUCCESS` and the like beside shards


def _matches(name: str, pattern: str) -> bool:
    """Check whether a name matches a pattern by the local rules, too: fsspec's `*` also matches hidden folders."""
    hidden, hidden_patterns = ([part for part in path.split("/") if part.startswith(".")] for path in (name, pattern))
    matched = all(any(fnmatch(part, pattern) for pattern in hidden_patterns) for part in hidden)
    return matched and _is_data(posixpath.basename(name))


def find_paths(source: str) -> list[Path]:
    """Find the shards of a folder or a pattern; raise InputError if there are none."""
    path = Path(source)
    if path.is_dir():
        paths = _find_in_folder(path)
        for entry in paths:
            check_inside(entry, path)
        if paths:
            _check_train_folder(path, paths)
    else:
        matches = map(Path, glob.iglob(source, recursive=True))  # noqa: PTH207, a pattern may be absolute
        paths = sorted(path for path in matches if _is_data(path.name))
    if not paths:
        raise _no_shards(source)
    return paths


def _inspect_path(path: Path, item: str) -> Shard:
    shard = Shard(str(path), item)
    with suppress(OSError):  # opening it reports the reason
        shard = shard._replace(n_bytes=path.stat().st_size)
        if not path.is_file():  # reading a pipe would wait for ever
            return shard._replace(fault=f"{path}: {unsuitable(path)}; expected {formats.shard_help()}")
    return _inspect(shard, lambda: path.open("rb"))


def _list_address(source: str) -> list[Shard]:
    import fsspec

    try:
        files, root = fsspec.url_to_fs(source)
        if WILDCARDS & set(root):
            found_entries = {
                name: entry for name, entry in files.glob(root, detail=True).items() if _matches(name, root)
            }
        elif files.isdir(root):
            found_entries = {
                entry["name"]: entry for entry in files.ls(root, detail=True) if _is_shard(Path(entry["name"]))
            }
        else:
            found_entries = {root: files.info(root)}
    except Exception as error:  # each kind of store has its own errors
        raise storage_error(f"{source}: can't be listed", error) from error
    if not found_entries:
        raise _no_shards(source)
    folder = posixpath.commonpath(map(posixpath.dirname, found_entries))
    items = {name: posixpath.relpath(name, folder) for name in sorted(found_entries)}
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        return list(pool.map(lambda name: _inspect_entry(files, found_entries[name], items[name]), items))


def _inspect_entry(files: Any, entry: dict[str, Any], item: str) -> Shard:  # noqa: ANN401, fsspec has no types
    address = files.unstrip_protocol(entry["name"])
    if entry["type"] == "directory":
        return Shard(address, item, fault=f"{address}: a folder; expected {formats.shard_help()}")
    shard = Shard(address, item, entry["size"] or 0)
    return _inspect(shard, lambda: files.open(entry["name"], "rb", cache_type="none"))


def _inspect(shard: Shard, open_file: Callable[[], IO[bytes]]) -> Shard:
    """Add a fault, or the number of rows from a Parquet footer; that of a CSV file is unknown until it is read.

    Raises StorageError or UnavailableError if the storage is at fault: otherwise the run would skip the shard.
    """
    try:
        with open_file() as file:
            head = file.read(len(PARQUET))
            footer = _read_footer(file) if head == PARQUET else b""
    except Exception as error:  # each kind of store has its own errors
        fault = storage_error(f"{shard.address}: can't be read", error)
        if isinstance(fault, ENVIRONMENT_ERRORS):
            raise fault from error
        return shard._replace(fault=str(fault))
    if not head:
        return shard._replace(fault=f"{shard.address}: empty; expected {formats.shard_help()}")
    return _add_row_count(shard, footer) if footer else shard


def _read_footer(file: IO[bytes]) -> bytes:
    """Read the end of a Parquet file, including its footer."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - TAIL_BYTES, 0))
    end = file.read()
    footer_bytes = int.from_bytes(end[-TRAILER_BYTES : -len(PARQUET)], "little") + TRAILER_BYTES
    if len(end) < footer_bytes <= size and end.endswith(PARQUET):
        file.seek(max(size - footer_bytes, 0))
        end = file.read()
    return end


def _add_row_count(shard: Shard, footer: bytes) -> Shard:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        n_rows = pyarrow.parquet.read_metadata(pa.BufferReader(footer)).num_rows
    except (pa.ArrowException, OSError) as error:  # Arrow raises OSError for damage
        return shard._replace(fault=f"{shard.address}: not a readable Parquet file ({first_line(error)})")
    if n_rows > shard.n_bytes * MAX_RATIO:
        return shard._replace(fault=f"{shard.address}: its footer declares {n_rows:,} rows, more than it can hold")
    return shard._replace(n_rows=n_rows, fault="" if n_rows else f"{shard.address}: no rows")
