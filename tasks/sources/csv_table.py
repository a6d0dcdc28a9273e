"""Read `.csv` files of one image a line, gzipped or not, with pyarrow, block by block."""

from __future__ import annotations

import csv
import io
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.csv

from schemas.digits import PIXEL_COUNT
from schemas.errors import InputError, first_line
from schemas.pixel_frame import LABELLED_COLUMNS, PIXEL_COLUMNS
from tasks.sources.files import opened, too_large
from tasks.sources.frames import Frames, is_layout, joined, of_table, repeated, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from schemas.rules import InputRules, Rules

BLOCK = 8 << 20
SHARE = 4 << 20
"""Bytes of a block that a thread of pyarrow's parses at a time."""
MOST_COLUMNS = 10_000
LONGEST_LINE = 1 << 20
_PLACE = re.compile(r"(?:In CSV column #(\d+): )?(?:CSV parse error: )?Row #(\d+): (.*)", re.DOTALL)
_VALUE = re.compile(r"invalid value '(.*)'", re.DOTALL)
_COUNTS = re.compile(r"Expected (\d+) columns, got (\d+)")


def read(path: Path, rules: Rules) -> Frames:
    """Give the one frame of a file, with a header or without one (the label first then)."""
    return Frames(joined(list(_pieces(path, rules.max_expanded_mib))))


def batches(path: Path, _rules: InputRules, _rows: int) -> Iterator[pd.DataFrame]:
    """Give the file's rows block by block, however many bytes it holds once expanded."""
    return _pieces(path, most_mib=None)


class _Layout(NamedTuple):
    """The columns' names, and whether the file's first line is where they stand."""

    names: list[str]
    header: bool


def _pieces(path: Path, most_mib: int | None) -> Iterator[pd.DataFrame]:
    layout = _layout(path)
    lines, rows = 0, 0
    for block in _blocks(path, most_mib):
        piece = _parsed(path, block, layout, lines, rows)
        lines += block.count(b"\n")
        rows += len(piece)
        if len(piece):
            yield piece
    if not rows:
        raise InputError(f"{path}: no row")


def _blocks(path: Path, most_mib: int | None) -> Iterator[bytes]:
    """Give the file in blocks of whole lines."""
    given, lines, rest = 0, 1, b""
    try:
        with opened(path) as file:
            while chunk := file.read(BLOCK):
                given += len(chunk)
                if most_mib is not None and given > most_mib << 20:
                    raise too_large(path, given, most_mib)
                whole, newline, rest = (rest + chunk).rpartition(b"\n")
                if len(rest) > LONGEST_LINE:
                    lines += whole.count(b"\n") + len(newline)
                    raise InputError(f"{path}: line {lines:,} is longer than {LONGEST_LINE:,} bytes")
                if newline:
                    lines += whole.count(b"\n") + 1
                    yield whole + newline
        if rest:
            yield rest
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: can't be read ({first_line(error)})") from error


def _layout(path: Path) -> _Layout:
    try:
        with opened(path) as file:
            first = file.readline(LONGEST_LINE).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: line 1, byte {error.start}: not UTF-8 text") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: can't be read ({first_line(error)})") from error
    try:
        fields = next(csv.reader([first]), []) if "\0" not in first else []
    except csv.Error as error:
        raise InputError(f"{path}: line 1 isn't one of a CSV file ({first_line(error)})") from error
    if not fields or len(fields) > MOST_COLUMNS:
        raise InputError(f"{path}: line 1 has {len(fields):,} columns; 785 are needed, a label and 784 pixels")
    if len(fields) == 1:
        raise InputError(f"{path}: line 1 has one column; 785 are needed, separated by commas")
    fields = [field.strip() for field in fields]
    if not is_layout(fields) and any(_is_number(field) for field in fields):
        by_count = {PIXEL_COUNT + 1: LABELLED_COLUMNS, PIXEL_COUNT: PIXEL_COLUMNS}
        unknown = tuple(f"column {number}" for number in range(1, len(fields) + 1))
        return _Layout(list(by_count.get(len(fields), unknown)), header=False)
    twice = repeated(fields)
    if twice is not None:
        raise InputError(f"{path}: line 1 names column {twice!r} more than once")
    return _Layout(fields, header=True)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _parsed(path: Path, block: bytes, layout: _Layout, lines: int, rows: int) -> pd.DataFrame:
    """Parse a block that comes after so many lines and rows, as `uint8` where all of it is."""
    header = layout.header and not lines
    try:
        table = _table(block, layout.names, pa.uint8(), header=header, threads=True)
        if not any(column.null_count for column in table.columns) and len(table) == _row_count(block, header=header):
            return of_table(table, rows)
    except pa.ArrowInvalid:
        pass  # rarer kinds of number, or a fault; without threads pyarrow tells in which line
    try:
        table = _table(block, layout.names, pa.float64(), header=header, threads=False)
    except pa.ArrowException as error:
        told = _unclosed(block, lines) or _told(str(error), layout.names, block, lines)
        raise InputError(f"{path}: {told}") from error
    if len(table) != _row_count(block, header=header):  # pyarrow takes what an open quotation mark swallows for nothing
        raise InputError(f"{path}: {_unclosed(block, lines) or 'lines without a row'}")
    return of_table(table, rows)


def _row_count(block: bytes, *, header: bool) -> int:
    """Count the lines of a block that are to give a row each: pyarrow passes empty ones over."""
    count = block.count(b"\n") + (not block.endswith(b"\n"))
    if block.startswith((b"\n", b"\r")) or b"\n\n" in block or b"\r" in block:
        count = sum(map(bool, block.splitlines()))
    return count - header


def _unclosed(block: bytes, lines: int) -> str:
    """Name the first line of a block with a quotation mark that isn't closed in it; nothing if there is none."""
    for number, line in enumerate(block.splitlines(), lines + 1):
        if line.count(b'"') % 2:
            return f"line {number}: a quotation mark that isn't closed; numbers need none"
    return ""


def _table(block: bytes, names: list[str], kind: pa.DataType, *, header: bool, threads: bool) -> pa.Table:
    kept = [names[position] for position in wanted(names)]
    return pyarrow.csv.read_csv(
        io.BytesIO(block),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=threads, block_size=SHARE if threads else BLOCK, column_names=names, skip_rows=int(header)
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(kept, kind), include_columns=kept, strings_can_be_null=True
        ),
    )


def _told(fault: str, names: list[str], block: bytes, lines: int) -> str:
    """Tell pyarrow's fault in the words of a person who has the file open in an editor."""
    place = _PLACE.search(fault)
    if not place:
        return f"not a readable CSV file ({fault.splitlines()[0]})"
    column, row, rest = place.groups()
    filled = [number for number, line in enumerate(block.splitlines(), lines + 1) if line]  # pyarrow counts no others
    line = filled[int(row) - 1]
    value, counts = _VALUE.search(rest), _COUNTS.search(rest)
    if value and column:
        name = names[int(column)] if int(column) < len(names) else f"column {int(column) + 1}"
        return f"line {line}, {name}: {value.group(1)[:40]!r}; a number is needed"
    if counts:
        return f"line {line}: {counts.group(2)} columns; {counts.group(1)} are needed, as in line 1"
    return f"line {line}: {rest.splitlines()[0][:200]}"
