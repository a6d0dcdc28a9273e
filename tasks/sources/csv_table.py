"""Read `.csv` files of one image per line, gzipped or not, with pyarrow, block by block."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from schemas.digits import PIXEL_COUNT
from schemas.errors import InputError, first_line
from schemas.pixel_frame import LABELLED_COLUMNS, PIXEL_COLUMNS
from schemas.rules import InputRules, Rules
from tasks.sources.files import check_expanded, reading
from tasks.sources.frames import (
    Frames,
    check_labelled,
    check_unique,
    concatenate,
    data_columns,
    is_known_layout,
    table_to_frame,
)

BLOCK_BYTES = 8 << 20
THREAD_BYTES = 4 << 20
"""Bytes of a block that one of pyarrow's threads parses at a time."""
MAX_COLUMNS = 10_000
MAX_LINE_BYTES = 1 << 20


def read(path: Path, rules: Rules) -> Frames:
    """Read all rows of a file, with or without a header; without one, the label comes first."""
    return Frames(concatenate(list(_read(path, rules.max_expanded_mib))))


def check(path: Path, _rules: InputRules) -> None:
    """Raise InputError unless the first line is that of labelled images."""
    names, _has_header = _read_layout(path)
    check_labelled(names, path)


def batches(path: Path, _rules: InputRules, _n_rows: int) -> Iterator[pd.DataFrame]:
    """Read a file block by block, without a limit on its expanded size."""
    return _read(path, max_mib=None)


def _read(path: Path, max_mib: int | None) -> Iterator[pd.DataFrame]:
    names, has_header = _read_layout(path)
    n_lines, n_rows = 0, 0
    for block in _read_blocks(path, max_mib):
        table = _parse(path, block, names, n_lines, has_header=has_header and not n_lines)
        frame = table_to_frame(table, n_rows)
        n_lines += block.count(b"\n")
        n_rows += len(frame)
        if len(frame):
            yield frame
    if not n_rows:
        raise InputError(f"{path}: no rows")


def _read_blocks(path: Path, max_mib: int | None) -> Iterator[bytes]:
    """Read a file in blocks of whole lines."""
    n_bytes, n_lines, rest = 0, 1, b""
    with reading(path) as file:
        while chunk := file.read(BLOCK_BYTES):
            n_bytes += len(chunk)
            check_expanded(path, n_bytes, max_mib)
            lines, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                n_lines += lines.count(b"\n") + 1
            if len(rest) > MAX_LINE_BYTES:
                raise InputError(f"{path}: line {n_lines:,} is longer than {MAX_LINE_BYTES:,} bytes")
            if newline:
                yield lines + newline
    if rest:
        yield rest


def _read_layout(path: Path) -> tuple[list[str], bool]:
    """Return the names of the columns, and whether the first line is a header."""
    names = _read_first_line(path)
    if len(names) == 1:
        raise InputError(f"{path}, line 1: expected 785 columns, separated by commas, got one")
    if not names or len(names) > MAX_COLUMNS:
        raise InputError(f"{path}, line 1: expected 785 columns, a label and 784 pixels, got {len(names):,}")
    if not is_known_layout(names) and any(map(_is_number, names)):
        by_count = {PIXEL_COUNT + 1: LABELLED_COLUMNS, PIXEL_COUNT: PIXEL_COLUMNS}
        unknown = tuple(f"column {number}" for number in range(1, len(names) + 1))
        return list(by_count.get(len(names), unknown)), False
    check_unique(names, f"{path}, line 1")
    return names, True


def _read_first_line(path: Path) -> list[str]:
    try:
        with reading(path) as file:
            line = file.readline(MAX_LINE_BYTES).decode("utf-8-sig")
        fields = next(csv.reader([line]), []) if "\0" not in line else []
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line 1, byte {error.start}: not UTF-8 text") from error
    except csv.Error as error:
        raise InputError(f"{path}, line 1: not a line of a CSV file ({first_line(error)})") from error
    return [field.strip() for field in fields]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return field.isascii() and "_" not in field  # as pyarrow


def _parse(path: Path, block: bytes, names: list[str], n_lines: int, *, has_header: bool) -> pa.Table:
    """Parse a block that follows `n_lines` lines: as `uint8` if all of it is, else as `float64`."""
    n_rows = _count_rows(block) - has_header
    try:
        table = _read_table(block, names, pa.uint8(), has_header=has_header, threads=True)
        if len(table) == n_rows and not any(column.null_count for column in table.columns):
            return table
    except pa.ArrowInvalid:
        pass  # other numbers than bytes, or a fault
    try:
        table = _read_table(block, names, pa.float64(), has_header=has_header, threads=False)
        fault = None if len(table) == n_rows else "lines without a row"  # an open quotation mark swallows lines
    except pa.ArrowException as error:
        table, fault = None, first_line(error)
    if fault:
        raise InputError(f"{path}, {_locate_fault(block, names, n_lines, fault, has_header=has_header)}")
    return table


def _count_rows(block: bytes) -> int:
    """Count the lines of a block that aren't empty; pyarrow skips empty lines."""
    if block.startswith((b"\n", b"\r")) or b"\n\n" in block or b"\r" in block:
        return sum(map(bool, block.splitlines()))
    return block.count(b"\n") + (not block.endswith(b"\n"))


def _read_table(block: bytes, names: list[str], dtype: pa.DataType, *, has_header: bool, threads: bool) -> pa.Table:
    data = [names[position] for position in data_columns(names)]
    return pyarrow.csv.read_csv(
        io.BytesIO(block),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=threads,
            block_size=THREAD_BYTES if threads else len(block) + 1,
            column_names=names,
            skip_rows=int(has_header),
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(data, dtype), include_columns=data, strings_can_be_null=True
        ),
    )


def _locate_fault(block: bytes, names: list[str], n_lines: int, fault: str, *, has_header: bool) -> str:
    """Return the line, the column and the reason of a block's first fault, which pyarrow describes as `fault`."""
    lines, data = block.splitlines(), data_columns(names)
    nulls = set(pyarrow.csv.ConvertOptions().null_values)
    with suppress(csv.Error):
        for number, line in enumerate(lines, n_lines + 1):
            if not line:  # pyarrow skips it
                continue
            text = line.decode("utf-8", "replace")
            if text.count('"') % 2:
                return f"line {number}: a quotation mark that isn't closed; numbers need none"
            fields = next(csv.reader([text]))
            if len(fields) != len(names):
                return f"line {number}: expected {len(names)} columns, as in line 1, got {len(fields)}"
            for position in data if number > has_header else ():
                value = fields[position]
                if not (_is_number(value) or value.strip() in nulls):
                    return f"line {number}, column {names[position]}: expected a number, got {value[:40]!r}"
    return f"lines {n_lines + 1} to {n_lines + len(lines)}: not readable as CSV ({fault})"
