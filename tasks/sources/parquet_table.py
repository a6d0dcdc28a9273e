"""Read `.parquet` files of one image per row, with pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from schemas.errors import InputError
from schemas.rules import InputRules
from tasks.sources.files import check_declared, check_expanded
from tasks.sources.tables import DAMAGED, Batch, Layout, Table, TableReader, find_layout

BATCH_ROWS = 65_536
BUFFER_BYTES = 1 << 16
"""Bytes of a column that are read ahead. Without a limit, whole row groups are in memory, not one page per column."""
MIN_GROUP_ROWS, MAX_GROUP_BYTES = 8192, 128 << 20
"""Row groups of at least these rows and at most these bytes of values are read one by one, column by column."""
SMALL_BYTES = 4 << 20
"""Files up to this size are read at once: a read for each of 785 columns takes half as long as decoding them."""
COLUMN_BLOCK = 64
"""Columns that are read together: while it is read, a column uses several times the memory of its values."""


def batch_rows(path: Path, rules: InputRules, n_rows: int) -> int:
    """Return how many rows of a file fit in the memory of `n_rows` rows of 8-byte numbers.

    More than `n_rows` if all numbers are `uint8`, none is missing, and whole row groups are in memory anyway.
    """
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            layout = find_layout(path, file.schema_arrow, rules)
            has_bytes = layout.all_bytes and _is_complete(file)
            return n_rows * 8 if has_bytes and _is_read_by_groups(file, layout, n_rows) else n_rows
    except (*DAMAGED, InputError):
        return n_rows  # reading reports what is wrong


@contextmanager
def _open(path: Path, rules: InputRules) -> Iterator[Table]:
    n_bytes = path.stat().st_size
    is_small = n_bytes <= SMALL_BYTES
    source, buffer_size = (pa.BufferReader(path.read_bytes()), 0) if is_small else (path, BUFFER_BYTES)
    with pyarrow.parquet.ParquetFile(source, buffer_size=buffer_size, pre_buffer=False) as file:
        layout = find_layout(path, file.schema_arrow, rules)
        check_declared(str(path), n_bytes, file.metadata.num_rows, "rows")
        yield Table(layout, partial(_read_checked, path, file, layout), [])


def _read_checked(
    path: Path, file: pyarrow.parquet.ParquetFile, layout: Layout, n_rows: int | None, max_mib: int | None
) -> Iterator[Batch]:
    n_declared, n_read = file.metadata.num_rows, 0
    check_expanded(path, n_declared * layout.row_bytes, max_mib)
    for batch in _read_batches(file, layout, n_rows or BATCH_ROWS, threads=n_rows is None):
        n_read += batch.num_rows
        yield batch
    if n_read != n_declared:
        raise InputError(f"{path}: ends after {n_read:,} rows; its footer declares {n_declared:,}")


def _read_batches(
    file: pyarrow.parquet.ParquetFile, layout: Layout, n_rows: int, *, threads: bool
) -> Iterator[pa.RecordBatch]:
    """Read columns `n_rows` rows at a time.

    Row groups of a usual size are read column by column, which takes less time and memory than reading all columns
    at once; the batches are then parts of one row group, not copies.
    """
    names = layout.names
    if not _is_read_by_groups(file, layout, n_rows):
        # Without names, pyarrow doesn't look up each column.
        selected = None if file.metadata.num_columns == len(names) else names
        for batch in file.iter_batches(n_rows, columns=selected, use_threads=threads):
            yield batch if batch.schema.names == names else batch.select(names)
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


READER = TableReader("Parquet", _open)
read, check, batches = READER.read, READER.check, READER.batches
