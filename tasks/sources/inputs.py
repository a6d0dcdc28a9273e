"""What can be predicted on: every source that can be trained on and, without labels, files of all kinds."""

from __future__ import annotations

import glob
import tempfile
from fnmatch import fnmatch
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from artifacts.uri import SCHEME, check_uri, strip_file_scheme
from schemas.errors import InputError, listed
from tasks.sources import formats, shards
from tasks.sources.files import check_inside, entries, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from schemas.rules import InputRules

ALLOWED = (
    "mnist or fashion-mnist, a PNG, JPEG or BMP picture, an .npz, .csv, .parquet or IDX file, a folder of these, a "
    "pattern such as 'scans/*.png', or an address of .parquet or .csv shards is allowed"
)


class Named(NamedTuple):
    """A file, and what its images are called after."""

    name: str
    path: Path


def check(source: str, output: Path) -> None:
    """Raise InputError, in a few hundredths of a second, if there is nothing to read or the output is part of it.

    Of several files the first is looked into.
    """
    check_uri(source, ALLOWED)
    source = strip_file_scheme(source)
    if SCHEME in source:
        shards.check(source)
        return
    files = _files(source)
    if files is None:
        formats.check(source)
    else:
        _kind(files[0])
    if source not in formats.BUILT_IN and _reads(source, files or [], output):
        raise InputError(f"--output {output}: it would be read as part of {source}; another place is needed")


def batches(source: str, rules: InputRules, rows: int) -> Iterator[pd.DataFrame]:
    """Read images as they come, at most so many at a time; the index tells each one's row, or its picture's name.

    Of a source with a part to test with it is that part; there are labels where the source has some. Raises InputError
    naming the file, and within it the place, where one can't be read or has other columns than a pixel frame.
    """
    source = strip_file_scheme(source)
    for frame in (_at_address if SCHEME in source else _frames)(source, rules, rows):
        yield from (frame.iloc[start : start + rows] for start in range(0, len(frame), rows))


def _frames(source: str, rules: InputRules, rows: int) -> Iterator[pd.DataFrame]:
    files = _files(source)
    if files is None:
        for frame in formats.reader(formats.kind(source)).batches(Path(source), rules, rows):
            yield _checked(frame, source)
        return
    kinds = {file: _kind(file) for file in files}  # of all, before the first is answered
    for kind, group in groupby(files, key=kinds.__getitem__):
        if kind == formats.PICTURE:
            from tasks.sources.pictures import Picture, batches_of

            yield from batches_of([Picture(*file) for file in group], rules, rows)
            continue
        for file in group:
            yield from _of_file(file, kind, rules, rows, several=len(files) > 1)


def _at_address(source: str, rules: InputRules, rows: int) -> Iterator[pd.DataFrame]:
    """Read what is at an address shard by shard, each fetched for the time that it is read."""
    found = shards.manifest(source).shards
    if faults := [shard.fault for shard in found if shard.fault]:
        raise InputError(listed(faults))
    with tempfile.TemporaryDirectory(prefix="predict-") as folder:
        for shard in found:
            with shards.on_disk(shard, Path(folder)) as path:
                kind = formats.detect_shard_format(path)
                yield from _of_file(Named(shard.item, path), kind, rules, rows, several=len(found) > 1)


def _of_file(file: Named, kind: str, rules: InputRules, rows: int, *, several: bool) -> Iterator[pd.DataFrame]:
    for frame in formats.reader(kind).batches(file.path, rules, rows):
        named = frame.set_axis([f"{file.name}:{row}" for row in frame.index]) if several else frame
        yield _checked(named, str(file.path))


def _checked(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Give a frame that has a pixel frame's columns, with a label or without."""
    from schemas.pixel_frame import labelled_column_fault, unlabelled_column_fault

    labelled = "label" in frame.columns
    fault = (labelled_column_fault if labelled else unlabelled_column_fault)(frame)
    if fault:
        wanted = "label, pixel0 … pixel783" if labelled else "pixel0 … pixel783, with a label before them or without,"
        raise InputError(f"{where}: {fault}; {wanted} are needed")
    return frame


def _files(source: str) -> list[Named] | None:
    """List the files that are meant, one by one; None for a source that can be trained on as a whole."""
    if source in formats.BUILT_IN or source in formats.UNFIT:
        return None
    if not source.strip():
        raise InputError(f"--input is empty; {ALLOWED}")
    try:
        found = _listed(source)
    except OSError as error:
        raise InputError(f"{source[:200]}: {formats.unreadable(error)}; {ALLOWED}") from error
    if found == []:
        raise InputError(f"{source}: no file; {ALLOWED}")
    return found


def _listed(source: str) -> list[Named] | None:
    path = Path(source)
    if shards.WILDCARDS & set(source) and not path.exists():
        paths = map(Path, sorted(glob.iglob(source, recursive=True)))  # noqa: PTH207, a pattern may be absolute
        return [Named(printable(path), path) for path in paths if path.is_file()]
    if not path.is_dir():
        return [Named(printable(path), path)]
    if formats.detect_folder_format(path):
        return None
    found = entries(path)
    for entry in found:
        check_inside(entry, path)
    return [Named(printable(entry.relative_to(path)), entry) for entry in found]


def _kind(file: Named) -> str:
    try:
        if file.path.is_dir():
            raise InputError(f"{file.path}: a folder; name its files by a pattern such as '{file.path}/*'")
        return formats.detect_file_format(file.path, ALLOWED)
    except OSError as error:
        raise InputError(f"{file.path}: {formats.unreadable(error)}; {ALLOWED}") from error


def _reads(source: str, files: list[Named], output: Path) -> bool:
    """Tell whether a file would be read as part of a source, now or, once it is there, next time."""
    path = Path(source)
    if path.is_dir():
        return output.resolve().is_relative_to(path.resolve())
    pattern = path.absolute()
    same_depth = len(output.absolute().parts) == len(pattern.parts) or "**" in pattern.parts
    matches = same_depth and fnmatch(str(output.absolute()), str(pattern))
    return matches or (output.exists() and any(output.samefile(file.path) for file in files))
