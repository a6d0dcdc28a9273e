"""Find the shards of a source: a folder, a pattern, or an address that fsspec knows, such as `s3://bucket/digits/`."""

from __future__ import annotations

import glob
import os
import posixpath
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING

from artifacts.uri import SCHEME, check_protocol, storage_error
from schemas.errors import ENVIRONMENT_ERRORS, InputError, first_line
from schemas.shards import Shard, ShardManifest
from tasks.sources.files import check_inside, entries, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO, Any

SUFFIXES = (".parquet", ".csv", ".csv.gz")
"""What names of shards end with in a folder; a pattern names them itself."""
WILDCARDS = set("*?[")
NEEDED = "a Parquet or CSV file is needed"
MAGIC = b"PAR1"
LENGTH = 8
"""Bytes at a Parquet file's end that tell how long its footer is, MAGIC being the last four."""
TAIL = 1 << 17
"""Bytes that are read at a file's end at first: most footers are shorter."""
ASKING = 8
"""Shards at an address that are looked at a time."""
FETCHED = ".fetched-"
"""What folders with copies of shards begin with."""


def is_sharded(source: str) -> bool:
    """Tell, without reading any, whether a source is shards."""
    if SCHEME in source:
        return True
    path = Path(source)
    if path.is_dir():
        return any(map(_is_shard, path.iterdir()))
    return bool(WILDCARDS & set(source)) and not path.exists()


def check(source: str) -> None:
    """Raise InputError if a sharded source can't be one: a pattern that nothing matches, an address of no known kind.

    What is at an address isn't looked at: it may take a while to answer.
    """
    if SCHEME in source:
        check_protocol(source, source)
    elif not _paths(source):
        raise _no_shards(source)


def manifest(source: str) -> ShardManifest:
    """List a source's shards with their sizes and, of Parquet, their rows; one that can't be used has a fault.

    No pixels are read, of Parquet the footers. Raises InputError where there are no shards or they can't be listed.
    """
    check(source)
    if SCHEME in source:
        return ShardManifest(tuple(_at_address(source)))
    root = Path(source)
    names = [(path, path.relative_to(root) if root.is_dir() else path) for path in _paths(source)]
    return ShardManifest(tuple(_of_path(path, printable(name)) for path, name in names))


@contextmanager
def on_disk(shard: Shard, folder: Path) -> Iterator[Path]:
    """Give a path to read a shard at: its own or, of one at an address, that of a copy in the folder, removed after."""
    if SCHEME not in shard.address:
        yield Path(shard.address)
        return
    import fsspec

    with tempfile.TemporaryDirectory(dir=folder, prefix=FETCHED) as fetched:
        copy = Path(fetched) / shard.address.rsplit("/", 1)[-1]
        try:
            files, path = fsspec.url_to_fs(shard.address)
            files.get_file(path, str(copy))
        except Exception as error:  # each kind of store has its own errors
            raise storage_error(f"{shard.address}: can't be fetched", error) from error
        try:
            yield copy
        except ENVIRONMENT_ERRORS:
            raise
        except InputError as error:  # the reader knows the copy alone
            raise InputError(str(error).replace(str(copy), shard.address)) from error


def _no_shards(source: str) -> InputError:
    return InputError(f"{source}: no shards; files named {', '.join(SUFFIXES)} or a pattern that names some are needed")


def _is_shard(path: Path) -> bool:
    return path.name.endswith(SUFFIXES) and _is_meant(path.name)


def _is_meant(name: str) -> bool:
    """Tell whether a pattern means a file: not `_SUCCESS` and the like, which engines leave beside shards."""
    return not name.startswith((".", "_"))


def _matches(name: str, pattern: str) -> bool:
    """Tell whether a pattern at an address means what fsspec finds: on this machine `*` passes hidden folders over."""
    spelled = [part for part in pattern.split("/") if part.startswith(".")]
    hidden = (part for part in name.split("/") if part.startswith("."))
    meant = all(any(fnmatch(part, one) for one in spelled) for part in hidden)
    return meant and _is_meant(posixpath.basename(name))


def _paths(source: str) -> list[Path]:
    """List the shards of a folder or a pattern."""
    path = Path(source)
    if not path.is_dir():
        found = map(Path, glob.iglob(source, recursive=True))  # noqa: PTH207, a pattern may be absolute
        return sorted(path for path in found if _is_meant(path.name))
    shards = [entry for entry in entries(path) if _is_shard(entry)]
    for shard in shards:
        check_inside(shard, path)
    return shards


def _of_path(path: Path, item: str) -> Shard:
    shard = Shard(str(path), item)
    with suppress(OSError):  # opening it tells the reason
        found = path.stat()
        if S_ISDIR(found.st_mode):
            return shard._replace(fault=f"{path}: a folder; {NEEDED}")
        if not S_ISREG(found.st_mode):  # it would be waited for
            return shard._replace(fault=f"{path}: a pipe or a device; {NEEDED}")
        shard = shard._replace(bytes=found.st_size)
    return _looked_at(shard, lambda: path.open("rb"))


def _at_address(source: str) -> list[Shard]:
    """List and look at what is at an address."""
    import fsspec

    try:
        files, root = fsspec.url_to_fs(source)
        if WILDCARDS & set(root):
            found = {name: one for name, one in files.glob(root, detail=True).items() if _matches(name, root)}
        elif files.isdir(root):
            found = {one["name"]: one for one in files.ls(root, detail=True) if _is_shard(Path(one["name"]))}
        else:
            found = {root: files.info(root)}
    except Exception as error:  # each kind of store has its own errors
        raise storage_error(f"{source}: can't be listed", error) from error
    if not found:
        raise _no_shards(source)
    folder = posixpath.commonpath(map(posixpath.dirname, found))
    items = {name: posixpath.relpath(name, folder) for name in sorted(found)}
    with ThreadPoolExecutor(ASKING) as pool:
        return list(pool.map(lambda name: _of_entry(files, found[name], items[name]), items))


def _of_entry(files: Any, entry: dict[str, Any], item: str) -> Shard:  # noqa: ANN401, fsspec has no types
    address = files.unstrip_protocol(entry["name"])
    if entry["type"] == "directory":
        return Shard(address, item, fault=f"{address}: a folder; {NEEDED}")
    return _looked_at(
        Shard(address, item, entry["size"] or 0), lambda: files.open(entry["name"], "rb", cache_type="none")
    )


def _looked_at(shard: Shard, opened: Callable[[], IO[bytes]]) -> Shard:
    """Add what a Parquet footer says of its rows, or its fault; of CSV only reading would tell.

    Raises StorageError or UnavailableError when what keeps it from being read isn't its own: it would be lost else.
    """
    try:
        with opened() as file:
            head = file.read(len(MAGIC))
            footer = _footer(file) if head == MAGIC else b""
    except Exception as error:  # each kind of store has its own errors
        unread = storage_error(f"{shard.address}: can't be read", error)
        if isinstance(unread, ENVIRONMENT_ERRORS):
            raise unread from error
        return shard._replace(fault=str(unread))
    if not head:
        return shard._replace(fault=f"{shard.address}: empty; {NEEDED}")
    return _counted(shard, footer) if footer else shard


def _footer(file: IO[bytes]) -> bytes:
    """Read the end of a Parquet file, its footer and perhaps more."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - TAIL, 0))
    end = file.read()
    needed = int.from_bytes(end[-LENGTH : -len(MAGIC)], "little") + LENGTH
    if len(end) < needed <= size and end.endswith(MAGIC):
        file.seek(max(size - needed, 0))
        end = file.read()
    return end


def _counted(shard: Shard, footer: bytes) -> Shard:
    """Add a Parquet shard's rows, or why its footer can't be read."""
    import pyarrow as pa
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_metadata(pa.BufferReader(footer)).num_rows
    except (pa.ArrowException, OSError) as error:  # OSError is what Arrow tells of damage by
        return shard._replace(fault=f"{shard.address}: not a readable Parquet file ({first_line(error)})")
    return shard._replace(n_rows=rows, fault="" if rows else f"{shard.address}: no rows")
