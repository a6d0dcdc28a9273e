"""Read images to predict on: any source that can be trained on and, without labels, files of all formats."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts.uri import SCHEME, check_uri, strip_file_scheme
from schemas.errors import ENVIRONMENT_ERRORS, InputError, join_messages
from schemas.prediction import SEVERAL_DIGITS, UNREADABLE
from schemas.rules import InputRules
from schemas.text import printable
from tasks.sources import archives, datasets, formats, shards
from tasks.sources.files import InputFile, check_inside, entries, unreadable
from tasks.sources.formats import Format
from tasks.sources.parts import is_ignored, note_left_out, root_of

if TYPE_CHECKING:
    import pandas as pd


def check(source: str, output: Path, *, strict: bool = False) -> None:
    """Raise InputError, within tens of milliseconds, if there is nothing to read or the output is part of the source.

    Of several files, only the first is opened, and only if `strict`.
    """
    check_uri(source, _expected())
    source = strip_file_scheme(source)
    if SCHEME in source:
        shards.check(source)
        return
    files = _list_files(source)
    if files is None:
        datasets.check(source)
    elif strict or len(files) == 1:
        _find_format(files[0])
    if not formats.find_built_in(source) and _includes(source, files or [], output):
        raise InputError(f"--output {output}: would be read as part of {source}; use another path")


def check_first(source: str, rules: InputRules, *, strict: bool = False) -> None:
    """Raise InputError, within about a second, if the first image can't be read; an address isn't opened."""
    if not formats.find_built_in(source) and SCHEME not in strip_file_scheme(source):
        next(batches(source, rules, 1, strict=strict), None)


def batches(source: str, rules: InputRules, n_rows: int, *, strict: bool = False) -> Iterator[pd.DataFrame]:
    """Yield images, unchanged, up to `n_rows` at a time; the index has their row numbers or the names of the pictures.

    Of a source with a test part, only that part is read. Labels are included if the source has them. `attrs` of a frame
    may have `notes` on what was guessed or left out. Of several files, one without a digit to read is a row without
    pixels, in a frame whose `attrs` have the `fault`: one of FILE_FAULTS, a colon, and the error. Raises InputError,
    with the file and the position in it, for a single such file, if all are, and if `strict`.
    """
    source = strip_file_scheme(source)
    for frame in _read_address(source, rules, n_rows) if SCHEME in source else _read(source, rules, n_rows, strict):
        yield from (frame.iloc[start : start + n_rows] for start in range(0, len(frame), n_rows))


def _read(source: str, rules: InputRules, n_rows: int, strict: bool) -> Iterator[pd.DataFrame]:  # noqa: FBT001
    files = _list_files(source)
    if files is None:
        file_format = datasets.find_format(source)
        if file_format is not formats.PICTURES:
            yield from file_format.batches(Path(source), rules, n_rows)
            return
        from tasks.sources import pictures

        files = pictures.list_images(root_of(Path(source)))
    first_fault, is_read = None, False
    path = Path(source)
    ignored = [entry.name for entry in path.iterdir() if is_ignored(entry)] if path.is_dir() else []
    notes = list(note_left_out(sorted(ignored), "no images"))
    for frame in _read_files(files, rules, n_rows, strict=strict):
        is_read = is_read or "fault" not in frame.attrs
        if "fault" in frame.attrs:
            first_fault = first_fault or f"{frame.index[0]}: {frame.attrs['fault']}"
        if notes:
            frame.attrs["notes"], notes = [*notes, *frame.attrs.get("notes", ())], []
        yield frame
    if not is_read and first_fault:
        raise InputError(f"{first_fault}; no file of {source} can be read")


def _read_files(files: Sequence[InputFile], rules: InputRules, n_rows: int, *, strict: bool) -> Iterator[pd.DataFrame]:
    """Read files, as many pictures at once as can be; unless `strict`, a bad one of several is a row without pixels."""
    several = len(files) > 1
    on_fault = _row_without_pixels if several and not strict else _raise
    found = {file: _format_or_fault(file) for file in files}
    faults = [fault for fault in found.values() if isinstance(fault, InputError)]
    if faults and on_fault is _raise:  # before the first file is read
        raise faults[0]
    for file_format, group in groupby(files, key=found.__getitem__):
        if file_format is formats.PICTURES:
            from tasks.sources import pictures

            yield from pictures.batches_of(group, rules, n_rows, on_fault)
            continue
        for file in group:
            try:
                if isinstance(file_format, InputError):
                    raise file_format
                frames = _read_content(file.path, file_format, rules, n_rows, strict=strict)
                yield from _named(frames, file, several=several)
            except InputError as error:
                yield on_fault(file, error)


def _format_or_fault(file: InputFile) -> Format | InputError:
    try:
        return _find_format(file)
    except InputError as error:
        return error


def _raise(_file: InputFile, error: InputError) -> pd.DataFrame:
    raise error


def _row_without_pixels(file: InputFile, error: InputError) -> pd.DataFrame:
    """Return a row in place of a file without a digit to read; raise an error that the file doesn't cause."""
    import numpy as np
    import pandas as pd

    from schemas.pixel_frame import PIXEL_COLUMNS
    from tasks.sources.normalization import SeveralDigitsError

    if isinstance(error, ENVIRONMENT_ERRORS):
        raise error
    kind = SEVERAL_DIGITS if isinstance(error, SeveralDigitsError) else UNREADABLE
    frame = pd.DataFrame(np.full((1, len(PIXEL_COLUMNS)), np.nan), index=[file.name], columns=list(PIXEL_COLUMNS))
    frame.attrs["fault"] = f"{kind}: {str(error).removeprefix(f'{printable(file.path)}: ')}"
    return frame


def _read_address(source: str, rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
    found_shards = shards.list_shards(source).shards
    if faults := [shard.fault for shard in found_shards if shard.fault]:
        raise InputError(join_messages(faults))
    with tempfile.TemporaryDirectory(prefix="predict-") as folder:
        for shard in found_shards:  # downloaded one at a time
            with shards.local_copy(shard, Path(folder)) as path:
                frames = formats.find_shard_format(path).batches(path, rules, n_rows)
                yield from _named(frames, InputFile(shard.item, path), several=len(found_shards) > 1)


def _named(frames: Iterator[pd.DataFrame], file: InputFile, *, several: bool) -> Iterator[pd.DataFrame]:
    """Yield a file's frames; if there are several files, its name is the first part of the rows' names."""
    for frame in frames:
        named = frame.set_axis([f"{file.name}:{row}" for row in frame.index]) if several else frame
        if several and "notes" in frame.attrs:
            named.attrs["notes"] = [f"{file.name}: {note}" for note in frame.attrs["notes"]]
        yield named


def _read_content(
    path: Path, file_format: Format, rules: InputRules, n_rows: int, *, strict: bool
) -> Iterator[pd.DataFrame]:
    if file_format is not formats.ARCHIVE:
        yield from file_format.batches(path, rules, n_rows)
        return
    with archives.unpacked(path, rules.max_expanded_mib) as content:
        yield from batches(str(content), rules, n_rows, strict=strict)


def _expected() -> str:
    return f"expected {formats.input_help()}"


def _list_files(source: str) -> list[InputFile] | None:
    """List the files to read one by one; None for a source that is read as a whole."""
    if formats.find_built_in(source) or source in datasets.UNSUITABLE:
        return None
    if not source.strip():
        raise InputError(f"--input is empty; {_expected()}")
    try:
        files = _find_files(source)
    except OSError as error:
        raise InputError(f"{source[:200]}: {unreadable(error)}; {_expected()}") from error
    if files == []:
        raise InputError(f"{source}: no file; {_expected()}")
    return files


def _find_files(source: str) -> list[InputFile] | None:
    path = Path(source)
    if shards.WILDCARDS & set(source) and not path.exists():
        paths = map(Path, sorted(glob.iglob(source, recursive=True)))  # noqa: PTH207, a pattern may be absolute
        return [InputFile(printable(path), path) for path in paths if not path.is_dir()]
    if not path.is_dir():
        return [InputFile(printable(path), path)]
    if formats.find_folder_format(path):
        return None
    folder_entries = [entry for entry in entries(path) if not is_ignored(entry)]
    for entry in folder_entries:
        check_inside(entry, path)
    return [InputFile(printable(entry.relative_to(path)), entry) for entry in folder_entries]


def _find_format(file: InputFile) -> Format:
    if file.label is not None:
        return formats.PICTURES
    try:
        if file.path.is_dir():
            raise InputError(f"{file.path}: a folder; name its files by a pattern such as '{file.path}/*'")
        return formats.find_file_format(file.path, _expected())
    except OSError as error:
        raise InputError(f"{file.path}: {unreadable(error)}; {_expected()}") from error


def _includes(source: str, files: list[InputFile], output: Path) -> bool:
    """Check whether a file would be read as part of a source, now or in the next run, when it exists."""
    path = Path(source)
    if path.is_dir():
        return output.resolve().is_relative_to(path.resolve())
    pattern = path.absolute()
    same_depth = len(output.absolute().parts) == len(pattern.parts) or "**" in pattern.parts
    matches = same_depth and fnmatch(str(output.absolute()), str(pattern))
    return matches or (output.exists() and any(output.samefile(file.path) for file in files))
