"""Read sources to train on: check a source, find its format, and load it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from artifacts.uri import SCHEME, check_uri, local_path, strip_file_scheme
from schemas.errors import InputError
from schemas.rules import Rules
from tasks.sources import archives, files, formats, parts, shards
from tasks.sources.formats import ARCHIVE, SHARDS, Format
from tasks.sources.shards import ShardParts

if TYPE_CHECKING:
    import pandas as pd

    from schemas.results import RawDataset
    from tasks.sources.frames import Frames

MAX_CHECKED_BYTES = 16 << 20
"""Size of an archive that is unpacked to check it before a run."""
UNSUITABLE = {
    "cifar10": "photographs in colour, 32 × 32",
    "cifar100": "photographs in colour, 32 × 32, of a hundred classes",
    "imdb": "texts",
    "reuters": "texts",
    "california-housing": "house prices",
    "boston-housing": "house prices",
}
"""The other sets of `keras.datasets`, and their contents."""


def check(*sources: str) -> None:
    """Raise InputError, within tens of milliseconds, if one of the sources can't be trained on."""
    for source in sources:
        find_format(source)


def check_headers(*sources: str, rules: Rules) -> None:
    """Raise InputError for what the beginnings of the sources' files show to be wrong; shards are checked when read."""
    for source in sources:
        fmt, path = find_format(source), Path(strip_file_scheme(source))
        if fmt is ARCHIVE:
            _check_archive(path, rules)
        elif fmt is SHARDS:
            _check_tables(path, rules)
        elif not fmt.built_in:
            fmt.check_header(path, rules)


def load(source: str, test_source: str | None, rules: Rules) -> RawDataset:
    """Read a source and, if there is one, the test source, which replaces the source's own test part."""
    from schemas.results import RawDataset

    own_parts = _read(source, rules)
    test, notes, name = own_parts.test, own_parts.notes, _name(source)
    if test_source is not None:
        test_parts = _read(test_source, rules)
        test = test_parts.train if test_parts.test is None else test_parts.test
        notes += tuple(f"{_name(test_source)}: {note}" for note in test_parts.notes)
        name += f" with {_name(test_source)}"
    return RawDataset(name, own_parts.train, test, _uri(source), test_source and _uri(test_source), notes=notes)


def find_format(source: str, expected: str = "") -> Format:
    """Return a source's format; raise InputError, with a message that ends with `expected`, if it has none."""
    expected = expected or f"expected {formats.source_help()}"
    if built_in_format := formats.find_built_in(source):
        built_in_format.check()
        return built_in_format
    if not source.strip():
        raise InputError(f"the source is empty; {expected}")
    if source in UNSUITABLE:
        raise InputError(f"{source}: {UNSUITABLE[source]}; {expected}")
    check_uri(source, expected)
    source = strip_file_scheme(source)
    path = Path(source)
    try:
        if path.is_dir() and (folder_format := formats.find_folder_format(path)):
            return folder_format
        if shards.is_sharded(source):
            shards.check(source)
            return SHARDS
        if path.is_dir():
            raise InputError(f"{path}: {formats.describe_folder(path)}")
        file_format = formats.find_file_format(path, expected)
    except OSError as error:
        raise InputError(f"{source}: {files.unreadable(error)}; {expected}") from error
    if not file_format.has_labels:
        raise InputError(f"{path}: a file without labels ({file_format.file}); {expected}")
    return file_format


def resolve_path(source: str) -> Path | None:
    """Return a source's path on this machine; None if it is elsewhere."""
    built_in_format = formats.find_built_in(source)
    path = built_in_format.path if built_in_format else local_path(source)
    return path and path.resolve()


def read(path: Path, file_format: Format, rules: Rules) -> Frames:
    """Read all rows of a source that isn't sharded; an archive is unpacked, and the shards in it are read at once."""
    if file_format is not ARCHIVE:
        return file_format.read(path, rules)
    with archives.unpacked(path, rules.max_expanded_mib) as content:
        content_format = find_format(str(content))
        if content_format is not SHARDS:
            return content_format.read(content, rules)
        return _read_shards(shards.list_parts(str(content)), rules)


def _read(source: str, rules: Rules) -> Frames | ShardParts:
    fmt, source = find_format(source), strip_file_scheme(source)
    return shards.list_parts(source) if fmt is SHARDS else read(Path(source), fmt, rules)


def _read_shards(listed: ShardParts, rules: Rules) -> Frames:
    from tasks.sources.frames import Frames, concatenate

    frames, notes = [], listed.notes
    for manifest in (listed.train, listed.test):
        several, read_frames = len(manifest.shards if manifest else ()) > 1, []
        for shard in manifest.shards if manifest else ():
            path = Path(shard.address)
            frame, _, shard_notes = formats.find_shard_format(path).read(path, rules)
            notes += tuple(f"{shard.item}: {note}" for note in shard_notes)
            read_frames.append(frame.set_axis([f"{shard.item}:{row}" for row in frame.index]) if several else frame)
        frames.append(concatenate(read_frames) if read_frames else None)
    return Frames(cast("pd.DataFrame", frames[0]), frames[1], notes)


def _check_archive(path: Path, rules: Rules) -> None:
    archives.check_kind(path)
    if path.stat().st_size <= MAX_CHECKED_BYTES:
        with archives.unpacked(path, rules.max_expanded_mib) as content:
            check_headers(str(content), rules=rules)


def _check_tables(path: Path, rules: Rules) -> None:
    """Raise InputError for a folder whose tables are lists of the pictures in it."""
    with suppress(OSError):  # reading reports it
        if not path.is_dir() or not parts.picture_fault(path):
            return
        faults = [_header_fault(table, rules) for table in shards.find_paths(str(path))]
        if all(faults):
            raise InputError(
                f"{path}: put the pictures into subfolders named 0 to 9; labels of pictures in a table aren't read, "
                f"and no table has pixels ({faults[0]})"
            )


def _header_fault(path: Path, rules: Rules) -> str:
    try:
        formats.find_shard_format(path).check_header(path, rules)
    except InputError as error:
        return str(error)
    return ""


def _name(source: str) -> str:
    if SCHEME in source:
        return source.rstrip("/").rsplit("/", 1)[-1]
    return source if formats.find_built_in(source) else Path(source).resolve().name


def _uri(source: str) -> str:
    path = None if formats.find_built_in(source) else local_path(source)
    return source if path is None else str(path.resolve())
