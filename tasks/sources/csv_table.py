"""Read `.csv` files of one image per line, compressed or not, with pyarrow, block by block."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from schemas.counts import count
from schemas.errors import InputError, first_line
from schemas.rules import InputRules
from tasks.sources.csv_layout import CsvLayout, parse_number, read_layout
from tasks.sources.csv_text import read_blocks
from tasks.sources.labels import parse_label, parse_labels
from tasks.sources.tables import Table, TableReader

THREAD_BYTES = 4 << 20
"""Bytes of a block that one of pyarrow's threads parses at a time."""


@contextmanager
def _open(path: Path, rules: InputRules) -> Iterator[Table]:
    layout = read_layout(path, rules)
    notes = [layout.note] if layout.note else []
    yield Table(layout.table, partial(_read, path, layout, notes), notes)


def _read(
    path: Path, layout: CsvLayout, notes: list[str], _n_rows: int | None, max_mib: int | None
) -> Iterator[pa.Table]:
    """Read a file block by block; add notes on what was left out."""
    for n_lines, block in read_blocks(path, layout.begin.form, layout.begin.n_skip, max_mib):
        table, n_left_out = _parse(path, block, layout, n_lines)
        if n_left_out:
            lines = f"{count(n_left_out, 'line')} of lines {n_lines + 1:,} to {n_lines + len(block.splitlines()):,}"
            notes.append(f"{lines} left out: comments, or the header again")
        if len(table):
            yield table.rename_columns(layout.table.names)


def _parse(path: Path, block: bytes, layout: CsvLayout, n_lines: int) -> tuple[pa.Table, int]:
    """Parse a block that follows `n_lines` lines: as `uint8` if all of it is, else as `float64`.

    Also return the number of its lines that are comments or the header again.
    """
    try:
        table = _read_table(block, layout, pa.uint8(), threads=True)
        if len(table) == _count_rows(block) and not any(column.null_count for column in table.columns):
            return table, 0
    except (pa.ArrowInvalid, InputError):
        pass  # other numbers than bytes, or a fault
    block, n_left_out = _blank_lines(block, layout)
    if n_left_out:
        return _parse(path, block, layout, n_lines)[0], n_left_out
    try:
        table = _read_table(block, layout, pa.float64(), threads=False)
        fault = (
            None if len(table) == _count_rows(block) else "lines without a row"
        )  # an open quotation mark swallows lines
    except (pa.ArrowException, InputError) as error:
        table, fault = None, first_line(error)
    if fault:
        raise InputError(f"{path}, {_locate_fault(block, layout, n_lines, fault)}")
    return table, 0


def _blank_lines(block: bytes, layout: CsvLayout) -> tuple[bytes, int]:
    """Empty the lines that are comments or the header again, which keeps the numbers of the others."""
    header = rb"|" + re.escape(layout.begin.header) if layout.begin.header else b""
    return re.subn(rb"(?m)^(?:#[^\n\r]*" + header + rb")(?=\r?$)", b"", block)


def _count_rows(block: bytes) -> int:
    """Count the lines of a block that aren't empty; pyarrow skips empty lines."""
    if block.startswith((b"\n", b"\r")) or b"\n\n" in block or b"\r" in block:
        return sum(map(bool, block.splitlines()))
    return block.count(b"\n") + (not block.endswith(b"\n"))


def _read_table(block: bytes, layout: CsvLayout, dtype: pa.DataType, *, threads: bool) -> pa.Table:
    names = [f"{position}" for position in range(len(layout.names))]
    data = [names[position] for position in layout.columns]
    types = dict.fromkeys(data, dtype) | (dict.fromkeys(data[:1], pa.string()) if layout.has_text_label else {})
    table = pyarrow.csv.read_csv(
        io.BytesIO(block),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=threads, block_size=THREAD_BYTES if threads else len(block) + 1, column_names=names
        ),
        parse_options=pyarrow.csv.ParseOptions(delimiter=layout.begin.separator),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types,
            include_columns=data,
            strings_can_be_null=True,
            decimal_point=layout.decimal_point,
        ),
    )
    if layout.has_text_label:
        labels = parse_labels(table[0].to_pylist(), "labels")
        return table.set_column(0, data[0], pa.array(labels).cast(dtype))
    return table


def _locate_fault(block: bytes, layout: CsvLayout, n_lines: int, fault: str) -> str:
    """Return the line, the column and the reason of a block's first fault, which pyarrow describes as `fault`."""
    lines, names = block.splitlines(), layout.names
    nulls = set(pyarrow.csv.ConvertOptions().null_values)
    with suppress(csv.Error):
        for number, line in enumerate(lines, n_lines + 1):
            if not line:  # pyarrow skips it
                continue
            text = line.decode("utf-8", "replace")
            if text.count('"') % 2:
                return f"line {number}: a quotation mark that isn't closed; numbers need none"
            fields = next(csv.reader([text], delimiter=layout.begin.separator))
            if len(fields) != len(names):
                expected = f"expected {len(names)} columns, as in line {max(layout.begin.n_skip, 1)}"
                return f"line {number}: {expected}, got {len(fields)}"
            for position in layout.columns:
                value = fields[position]
                parse = parse_label if layout.has_text_label and position == layout.columns[0] else parse_number
                is_number = parse(value.replace(layout.decimal_point, ".")) is not None
                if not (is_number or value.strip() in nulls):
                    return f"line {number}, column {names[position]}: expected a number, got {value[:40]!r}"
    return f"lines {n_lines + 1} to {n_lines + len(lines)}: not readable as CSV ({fault})"


READER = TableReader("CSV", _open)
read, check, batches = READER.read, READER.check, READER.batches
