"""Read `.parquet` files of one image a row, with pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet

from schemas.errors import InputError, first_line
from tasks.sources.files import too_large
from tasks.sources.frames import Frames, joined, of_table, repeated, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from schemas.rules import InputRules, Rules

ROWS = 65_536
BUFFER = 1 << 16
"""Bytes of a column that are read ahead: without it whole row groups would be in memory, not just a page a column."""
LEAST_ROWS, MOST_BYTES = 8192, 128 << 20
"""Rows from which, and bytes of values up to which row groups are read one by one, column by column."""
COLUMNS = 64
"""Columns that are read together: while it is read, each takes several times the memory that its values do."""


def read(path: Path, rules: Rules) -> Frames:
    """Give the one frame of a file."""
    return Frames(joined(list(_pieces(path, ROWS, rules.max_expanded_mib, threads=True))))


def batches(path: Path, _rules: InputRules, rows: int) -> Iterator[pd.DataFrame]:
    """Give the file's rows so many at a time, read in the caller's thread: it may be one of several that read."""
    return _pieces(path, rows, most_mib=None, threads=False)


def as_many(path: Path, rows: int) -> int:
    """Give how many of a file's rows take the memory that so many rows of numbers of eight bytes do.

    They are more where its numbers are bytes, none is missing, and its row groups are in memory anyway.
    """
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            kept = _columns(path, file, None)
            schema = file.schema_arrow  # made anew whenever it is asked for, as its names are
            stay = all(schema.field(name).type == pa.uint8() for name in kept) and _is_complete(file)
            return rows * 8 if stay and _is_by_groups(file, kept, rows) else rows
    except (pa.ArrowException, OSError, ValueError, KeyError, InputError):
        return rows  # reading tells what is wrong


def _pieces(path: Path, rows: int, most_mib: int | None, *, threads: bool) -> Iterator[pd.DataFrame]:
    try:
        with pyarrow.parquet.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
            kept = _columns(path, file, most_mib)
            done = 0
            for batch in _batches(file, kept, rows, threads=threads):
                yield of_table(_narrowed(batch), done)
                done += len(batch)
            if not done:
                yield of_table(_narrowed(file.schema_arrow.empty_table().select(kept)), done)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({first_line(error)})") from error


def _batches(
    file: pyarrow.parquet.ParquetFile, names: list[str], rows: int, *, threads: bool
) -> Iterator[pa.RecordBatch]:
    """Read these columns so many rows at a time.

    Row groups of a usual size are read column by column, which takes less time and memory than to go on in all columns
    at once; the batches are parts of one then, not copies.
    """
    if not _is_by_groups(file, names, rows):
        for batch in file.iter_batches(rows, columns=names, use_threads=threads):
            yield batch.select(names)
        return
    for group in range(file.num_row_groups):
        pieces = (names[first : first + COLUMNS] for first in range(0, len(names), COLUMNS))
        tables = (file.read_row_group(group, piece, use_threads=threads).select(piece) for piece in pieces)
        yield from pa.table([column for table in tables for column in table.columns], names).to_batches(rows)


def _is_by_groups(file: pyarrow.parquet.ParquetFile, names: list[str], rows: int) -> bool:
    """Tell whether its row groups are worth being read one by one, and small enough."""
    largest = max((file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)), default=0)
    return largest >= min(LEAST_ROWS, rows) and largest * _row_bits(file, names) // 8 <= MOST_BYTES


def _is_complete(file: pyarrow.parquet.ParquetFile) -> bool:
    """Tell whether the footer says of every column that nothing is missing in it."""
    groups = map(file.metadata.row_group, range(file.num_row_groups))
    columns = (group.column(number) for group in groups for number in range(group.num_columns))
    return all(one.statistics is not None and one.statistics.null_count == 0 for one in columns)


def _row_bits(file: pyarrow.parquet.ParquetFile, names: list[str]) -> int:
    schema = file.schema_arrow
    return sum(schema.field(name).type.bit_width for name in names)


def _columns(path: Path, file: pyarrow.parquet.ParquetFile, most_mib: int | None) -> list[str]:
    """Give the names of the columns to read; raise InputError for one that holds no numbers, or for too many bytes."""
    schema = file.schema_arrow
    names = schema.names  # made anew whenever they are asked for
    kept = [names[position] for position in wanted(names)]
    twice = repeated(kept)
    if twice is not None:
        raise InputError(f"{path}: column {twice!r} is there more than once")
    for name in kept:
        kind = schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise InputError(f"{path}: column {name!r} holds {kind}; numbers are needed")
    expanded = file.metadata.num_rows * _row_bits(file, kept) // 8
    if most_mib is not None and expanded > most_mib << 20:
        raise too_large(path, expanded, most_mib)
    return kept


def _narrowed(batch: pa.Table | pa.RecordBatch) -> pa.Table | pa.RecordBatch:
    """Cast all columns to `uint8` where that loses nothing, else to `float64`."""
    if not any(column.null_count for column in batch.columns):
        if all(kind == pa.uint8() for kind in batch.schema.types):
            return batch
        try:
            return batch.cast(pa.schema([(name, pa.uint8()) for name in batch.schema.names]))
        except pa.ArrowInvalid:
            pass
    return batch.cast(pa.schema([(name, pa.float64()) for name in batch.schema.names]), safe=False)
