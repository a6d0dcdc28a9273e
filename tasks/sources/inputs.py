"""What can be predicted on: every source that can be trained on and, without labels, files of all kinds."""

from __future__ import annotations

import glob
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from schemas.errors import InputError
from tasks.sources import catalogue
from tasks.sources.files import check_inside, entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from schemas.rules import InputRules

WILDCARDS = set("*?[")
ALLOWED = (
    "mnist or fashion-mnist, a PNG, JPEG or BMP picture, an .npz, .csv, .parquet or IDX file, a folder of these, or a "
    "pattern such as 'scans/*.png' is allowed"
)


class Named(NamedTuple):
    """A file, and what its images are called after."""

    name: str
    path: Path


def check(source: str) -> None:
    """Raise InputError, in a few hundredths of a second, if there is no file, or the first of them isn't fit."""
    files = _files(source)
    if files is None:
        catalogue.check(source)
    else:
        _kind(files[0])


def batches(source: str, rules: InputRules, rows: int) -> Iterator[pd.DataFrame]:
    """Read images as they come, at most so many at a time; the index tells each one's row, or its picture's name.

    Of a source with a part to test with it is that part; there are labels where the source has some.
    """
    for frame in _frames(source, rules, rows):
        yield from (frame.iloc[start : start + rows] for start in range(0, len(frame), rows))


def _frames(source: str, rules: InputRules, rows: int) -> Iterator[pd.DataFrame]:
    files = _files(source)
    if files is None:
        yield from catalogue.reader(catalogue.kind(source)).batches(Path(source), rules, rows)
        return
    for kind, group in groupby(files, key=_kind):
        if kind == catalogue.PICTURE:
            from tasks.sources.pictures import Picture, batches_of

            yield from batches_of([Picture(*file) for file in group], rules, rows)
            continue
        for file in group:
            for frame in catalogue.reader(kind).batches(file.path, rules, rows):
                yield frame if len(files) == 1 else frame.set_axis([f"{file.name}:{row}" for row in frame.index])


def _files(source: str) -> list[Named] | None:
    """List the files that are meant, one by one; None for a source that can be trained on as a whole."""
    path = Path(source)
    if source in catalogue.BUILT_IN or source in catalogue.UNFIT:
        return None
    if WILDCARDS & set(source) and not path.exists():
        found = [Named(name, Path(name)) for name in sorted(glob.iglob(source, recursive=True)) if Path(name).is_file()]  # noqa: PTH207, a pattern may be absolute
    elif not path.is_dir():
        found = [Named(source, path)]
    elif catalogue.kind_of_folder(path):
        return None
    else:
        found = [Named(file.name, file) for file in entries(path)]
        for file in found:
            check_inside(file.path, path)
    if not found:
        raise InputError(f"{source}: no file; {ALLOWED}")
    return found


def _kind(file: Named) -> str:
    try:
        return catalogue.kind_of_file(file.path)
    except IsADirectoryError as error:
        raise InputError(f"{file.path}: a folder; name its files by a pattern such as '{file.path}/*'") from error
    except OSError as error:
        raise InputError(f"{file.path}: {catalogue.unreadable(error)}; {ALLOWED}") from error
