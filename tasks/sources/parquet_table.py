"""Read `.parquet` files of one image per row, with pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from schemas.errors import InputError, first_line
from schemas.rules import InputRules, Rules
from tasks.sources.columns import Layout, find_layout
from tasks.sources.files import check_declared, check_expanded
from tasks.sources.frames import Frames, collect

BATCH_ROWS = 65_536
BUFFER_BYTES = 1 << 16
"""Bytes of a column that are read ahead. Without a limit, whole row groups are in memory, not one page per column."""
MIN_GROUP_ROWS, MAX_GROUP_BYTES = 8192, 128 << 20
"""Row groups of at least these rows and at most these bytes of values are read one by one, column by column."""
COLUMN_BLOCK = 64
"""Columns that are read together: while it is read, a column uses several times the memory of its values."""
DAMAGED = pa.ArrowException, OSError, ValueError, KeyError, MemoryError


def read(path: Path, rules: Rules) -> Frames:
    """Read all rows of a file."""
    return collect(_read(path, BATCH_ROWS, rules, rules.max_expanded_mib, threads=True))


def check(path: Path, rules: InputRules) -> None:
    """Raise InputError unless the columns are those of labelled images."""
    with _opened(path) as file:
        _check_columns(path, file, rules, None).check_labelled(rules)


def batches(path: Path, rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read a file in the caller's thread, which may be one of several that read."""
    return _read(path, n_rows, rules, max_mib=None, threads=False)


def batch_rows(path: Path, rules: InputRules, n_rows: int) -> int:
    """Return how many rows of a file fit in the memory of `n_rows` rows of 8-byte numbers.

    More than `n_rows` if all numbers are `uint8`, none is missing, and whole row groups are in memory anyway.
    """
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            if file.metadata.num_rows <= n_rows:
                return n_rows
            layout = _check_columns(path, file, rules, None)
            schema = file.schema_arrow  # pyarrow builds it on every access
            all_bytes = all(schema.field(name).type == pa.uint8() for name in layout.names) and _is_complete(file)
            return n_rows * 8 if all_bytes and _is_read_by_groups(file, layout, n_rows) else n_rows
    except (*DAMAGED, InputError):
        return n_rows  # reading reports what is wrong


def _read(path: Path, n_rows: int, rules: InputRules, max_mib: int | None, *, threads: bool) -> Iterator[pd.DataFrame]:
    with _opened(path) as file:
        layout = _check_columns(path, file, rules, max_mib)
        start = 0
        for batch in _read_batches(file, layout, n_rows, threads=threads):
            yield layout.to_frame(batch, start, rules)
            start += len(batch)
        if start != file.metadata.num_rows:
            raise InputError(f"{path}: ends after {start:,} rows; its footer declares {file.metadata.num_rows:,}")
        if not start:
            yield layout.to_frame(file.schema_arrow.empty_table().select(layout.names), start, rules)


@contextmanager
def _opened(path: Path) -> Iterator[pyarrow.parquet.ParquetFile]:
    try:
        with pyarrow.parquet.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
            yield file
    except DAMAGED as error:
        raise InputError(f"{path}: not a readable Parquet file ({first_line(error)})") from error


def _read_batches(
    file: pyarrow.parquet.ParquetFile, layout: Layout, n_rows: int, *, threads: bool
) -> Iterator[pa.RecordBatch]:
    """Read columns `n_rows` rows at a time.

    Row groups of a usual size are read column by column, which takes less time and memory than reading all columns
    at once; the batches are then parts of one row group, not copies.
    """
    names = layout.names
    if not _is_read_by_groups(file, layout, n_rows):
        for batch in file.iter_batches(n_rows, columns=names, use_threads=threads):
            yield batch.select(names)
        return
    for group in range(file.num_row_groups):
        blocks = (names[start : start + COLUMN_BLOCK] for start in range(0, len(names), COLUMN_BLOCK))
        tables = (file.read_row_group(group, block, use_threads=threads).select(block) for block in blocks)
        yield from pa.table([column for table in tables for column in table.columns], names).to_batches(n_rows)


def _is_read_by_groups(file: pyarrow.parquet.ParquetFile, layout: Layout, n_rows: int) -> bool:
    if layout.has_images:
        return False
    largest = max((file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)), default=0)
    return largest >= min(MIN_GROUP_ROWS, n_rows) and largest * layout.row_bytes <= MAX_GROUP_BYTES


def _is_complete(file: pyarrow.parquet.ParquetFile) -> bool:
    """Return whether the footer says that no column misses a value."""
    groups = map(file.metadata.row_group, range(file.num_row_groups))
    columns = (group.column(number) for group in groups for number in range(group.num_columns))
    return all(column.statistics is not None and column.statistics.null_count == 0 for column in columns)


def _check_columns(path: Path, file: pyarrow.parquet.ParquetFile, rules: InputRules, max_mib: int | None) -> Layout:
    """Return the columns to read, which are known and not too large."""
    layout = find_layout(path, file.schema_arrow, rules)
    n_rows = file.metadata.num_rows
    check_expanded(path, n_rows * layout.row_bytes, max_mib)
    check_declared(str(path), path.stat().st_size, n_rows, "rows")
    return layout
