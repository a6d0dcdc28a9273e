"""Read tables of one image per row: a label and 784 pixels, or a label and an image in one column.

To add a format, write a function that opens it as a `Table`, and make a `TableReader` of it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from schemas.digits import CLASSES, PIXEL_COUNT
from schemas.errors import InputError, first_line
from schemas.pixel_frame import labelled_column_fault, unlabelled_column_fault
from schemas.rules import InputRules, Rules
from tasks.sources.frames import (
    Frames,
    check_unique,
    collect,
    columns_to_frame,
    data_columns,
    find_named_label,
    images_to_frame,
    is_label_name,
    is_pixel_order,
    standard_names,
)
from tasks.sources.labels import parse_labels
from tasks.sources.picture_formats import is_picture
from tasks.sources.sizes import PIXEL_COUNTS, check_size

Batch: TypeAlias = "pa.Table | pa.RecordBatch"
DAMAGED = pa.ArrowException, OSError, ValueError, KeyError
ROW_BYTES = PIXEL_COUNT + 1
"""Size of a label and an image in memory."""
THREADS = 2
"""Threads that decode pictures; with more, they wait for each other."""
SMALL_BYTES = 4096
"""Mean size of pictures below which one thread decodes them: for most of the time, they need Python's lock."""


class Table(NamedTuple):
    """An open table.

    `batches(n_rows, max_mib)` reads the layout's columns, `n_rows` rows at a time, or as many as are read fastest
    (None), and checks their size in memory, unless `max_mib` is None. It adds to `notes` what was guessed or left out.
    """

    layout: Layout
    batches: Callable[[int | None, int | None], Iterator[Batch]]
    notes: list[str]


class TableReader(NamedTuple):
    """Reads tables, which `open` opens; `kind` names such a file in messages."""

    kind: str
    open: Callable[[Path, InputRules], AbstractContextManager[Table]]

    def read(self, path: Path, rules: Rules) -> Frames:
        """Read all rows of a file."""
        return collect(self._read(path, rules, None, rules.max_expanded_mib))

    def check(self, path: Path, rules: InputRules) -> None:
        """Raise InputError unless the columns are those of labelled images."""
        with self._opened(path, rules) as table:
            table.layout.check_labelled(rules)

    def batches(self, path: Path, rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
        """Read a file in the caller's thread, which may be one of several that read."""
        return self._read(path, rules, n_rows, None)

    def _read(self, path: Path, rules: InputRules, n_rows: int | None, max_mib: int | None) -> Iterator[pd.DataFrame]:
        with self._opened(path, rules) as table:
            start = 0
            for batch in table.batches(n_rows, max_mib):
                frame = table.layout.to_frame(batch, start, rules)
                start += len(frame)
                if table.notes:
                    frame.attrs["notes"] = table.notes.copy()
                    table.notes.clear()
                yield frame
            if not start:
                raise InputError(f"{path}: no rows")

    @contextmanager
    def _opened(self, path: Path, rules: InputRules) -> Iterator[Table]:
        try:
            with self.open(path, rules) as table:
                table.layout.check()
                yield table
        except DAMAGED as error:
            raise InputError(f"{path}: not a readable {self.kind} file ({first_line(error)})") from error


@dataclass(frozen=True)
class Layout:
    """The columns to read: the label first, if there is one, then the pixels, or one column of images."""

    path: Path
    names: list[str]
    has_label: bool
    has_images: bool = False
    has_text_label: bool = False
    all_bytes: bool = False
    """Whether all columns are known to be `uint8`; values may be missing."""
    row_bytes: int = 8 * (PIXEL_COUNT + 1)
    """Size of a row once it is read."""

    @cached_property
    def _standard_names(self) -> list[str]:
        return standard_names(["label", *self.names[1:]] if self.has_label else self.names)

    @property
    def _pixels(self) -> list[str]:
        return self.names[self.has_label :]

    def check(self) -> None:
        """Raise InputError unless there is an image, or a column for each pixel of an image of a known size."""
        if self.has_images or (len(self._pixels) in PIXEL_COUNTS and is_pixel_order(self._pixels)):
            return
        hint = "" if self.has_label else ", or --label-column"
        if len(self.names) == PIXEL_COUNT + len(CLASSES):
            hint = "; one column of labels is needed, not ten (one-hot)"
        raise InputError(f"{self.path}: {self._fault()}; expected label, pixel0 … pixel783{hint}")

    def _fault(self) -> str | None:
        if not self.has_label and len(self.names) not in {PIXEL_COUNT, PIXEL_COUNT + 1}:
            return f"{len(self.names):,} columns"
        is_unlabelled = len(self.names) == PIXEL_COUNT and not self.has_label
        fault = unlabelled_column_fault if is_unlabelled else labelled_column_fault
        return fault(pd.DataFrame(columns=self._standard_names))

    def check_labelled(self, rules: InputRules) -> None:
        """Raise InputError if there is no label, or if the images have another size."""
        if not self.has_label:
            needed = "label is" if self.has_images else "label, pixel0 … pixel783 are"
            raise InputError(f"{self.path}: no column of labels; {needed} needed, or --label-column")
        if not self.has_images:
            check_size(str(self.path), len(self._pixels), rules)

    def to_frame(self, batch: Batch, first_row: int, rules: InputRules) -> pd.DataFrame:
        """Build a frame from a batch of these columns; rows are numbered from `first_row`."""
        index = pd.RangeIndex(first_row, first_row + batch.num_rows)
        if self.has_images:
            labels = self._read_labels(batch) if self.has_label else None
            where = f"{self.path}, column {self.names[-1]}"
            return images_to_frame(_read_images(batch.column(self.has_label), where, first_row, rules), labels, index)
        if self.all_bytes and (values := _bytes_of(batch)) is not None:
            return self._columns_to_frame(values, index, rules)
        if self.has_text_label:
            batch = batch.set_column(0, self.names[0], pa.array(self._read_labels(batch)))
        columns = [column.to_numpy(zero_copy_only=False) for column in narrow(batch).columns]  # nulls are NaN
        return self._columns_to_frame(columns, index, rules)

    def _columns_to_frame(
        self, columns: Sequence[NDArray[Any]] | NDArray[Any], index: pd.RangeIndex, rules: InputRules
    ) -> pd.DataFrame:
        if len(self._pixels) == PIXEL_COUNT:
            return columns_to_frame(columns, self._standard_names, index)
        check_size(str(self.path), len(self._pixels), rules)
        return images_to_frame(
            np.stack(list(columns[self.has_label :]), 1), columns[0] if self.has_label else None, index
        )

    def _read_labels(self, batch: Batch) -> NDArray[np.generic]:
        values = batch.column(0)
        if not self.has_text_label:
            return np.asarray(values)
        return parse_labels(values.to_pylist(), f"{self.path}, column {self.names[0]}")


@dataclass(frozen=True, eq=False)
class _Columns:
    """The columns of a table, and the label's name in the rules; equal for tables with the same columns."""

    path: Path
    schema: pa.Schema
    label_column: str

    def __hash__(self) -> int:
        return len(self.schema)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Columns):
            return NotImplemented
        return self.label_column == other.label_column and bool(self.schema.equals(other.schema))


def find_layout(path: Path, schema: pa.Schema, rules: InputRules) -> Layout:
    """Return the columns to read; raise InputError for columns that are neither numbers, text labels nor images."""
    return replace(_find_layout(_Columns(path, schema, rules.label_column)), path=path)


@lru_cache(maxsize=32)  # thousands of small files have the same columns
def _find_layout(columns: _Columns) -> Layout:
    path, schema = columns.path, columns.schema
    all_names = schema.names  # pyarrow builds them on every access
    label = find_named_label(str(path), all_names, columns.label_column)
    if layout := _find_image_column(path, schema, label):
        return layout
    names = [all_names[position] for position in data_columns(all_names, label)]
    check_unique(names, str(path))
    has_label = bool(names) and (label is not None or is_label_name(names[0]))
    has_text_label = has_label and _is_text(schema.field(names[0]).type)
    for name in names[has_text_label:]:
        dtype = schema.field(name).type
        if not _is_number(dtype):
            raise InputError(f"{path}, column {name}: expected numbers, got {dtype}")
    types = [schema.field(name).type for name in names]
    row_bits = sum(dtype.bit_width for dtype in types[has_text_label:]) + 64 * has_text_label
    all_bytes = all(dtype == pa.uint8() for dtype in types)
    return Layout(path, names, has_label, has_text_label=has_text_label, all_bytes=all_bytes, row_bytes=row_bits // 8)


def _bytes_of(batch: Batch) -> NDArray[np.uint8] | None:
    """Return the values of `uint8` columns as columns × rows; None if any is missing.

    One call for all columns: a call for each takes longer than reading a small file.
    """
    try:
        return np.asarray(batch.to_tensor(row_major=False).to_numpy().T, np.uint8)
    except pa.ArrowException:
        return None


def narrow(batch: Batch) -> Batch:
    """Cast all columns to `uint8` where that loses nothing, else to `float64`."""
    if not any(column.null_count for column in batch.columns):
        if all(dtype == pa.uint8() for dtype in batch.schema.types):
            return batch
        try:
            return batch.cast(pa.schema([(name, pa.uint8()) for name in batch.schema.names]))
        except pa.ArrowInvalid:
            pass
    return batch.cast(pa.schema([(name, pa.float64()) for name in batch.schema.names]), safe=False)


def _find_image_column(path: Path, schema: pa.Schema, label: int | None) -> Layout | None:
    if sum(_is_number(field.type) for field in schema) >= PIXEL_COUNT:
        return None
    images = [field.name for field in schema if _is_image(field.type)]
    labels = [field.name for field in schema if is_label_name(field.name)] if label is None else [schema.names[label]]
    if not images:
        return None
    if len(images) > 1 or len(labels) > 1:
        raise InputError(f"{path}: several columns of images or labels: {', '.join([*images, *labels][:8])}")
    has_text = bool(labels) and not _is_number(schema.field(labels[0]).type)
    return Layout(path, [*labels, *images], bool(labels), has_images=True, has_text_label=has_text, row_bytes=ROW_BYTES)


def _is_number(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_boolean(dtype))


def _is_text(dtype: pa.DataType) -> bool:
    if pa.types.is_dictionary(dtype):
        return _is_text(dtype.value_type) or _is_number(dtype.value_type)
    return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype))


def _is_image(dtype: pa.DataType) -> bool:
    if pa.types.is_struct(dtype):
        return bool(dtype.get_field_index("bytes") >= 0)
    return bool(_is_bytes(dtype) or _is_list(dtype))


def _is_bytes(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype) or pa.types.is_fixed_size_binary(dtype))


def _is_list(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype))


def _read_images(column: pa.Array, where: str, first_row: int, rules: InputRules) -> NDArray[np.generic]:
    """Read a column of encoded pictures, of bytes or of lists of pixels as rows × 784."""
    if pa.types.is_struct(column.type):
        column = column.field("bytes")
    if column.null_count:
        row = first_row + pyarrow.compute.index(column.is_null(), True).as_py()
        raise InputError(f"{where}: row {row} has no image; its file may be elsewhere, fill in the bytes")
    if _is_list(column.type):
        return _flatten(column, where, rules)
    values = column.to_pylist()
    if all(len(value) == PIXEL_COUNT for value in values) and not any(map(is_picture, values)):
        return np.frombuffer(b"".join(values), np.uint8).reshape(-1, PIXEL_COUNT)
    return _decode(values, where, first_row, rules)


def _flatten(column: pa.Array, where: str, rules: InputRules) -> NDArray[np.generic]:
    """Return lists of pixels, or lists of rows of pixels, as one array; all images must have the same number."""
    n_rows, n_values = len(column), 1
    while _is_list(column.type):
        lengths = set(pyarrow.compute.list_value_length(column).unique().to_pylist())
        n_values *= lengths.pop() or 0 if len(lengths) == 1 else 0
        column = column.flatten()
    if not _is_number(column.type) or (n_rows and n_values not in PIXEL_COUNTS):
        raise InputError(f"{where}: expected lists of {PIXEL_COUNT} numbers in every row, or of 28 lists of 28")
    n_values = n_values if n_rows else PIXEL_COUNT
    check_size(where, n_values, rules)
    return np.asarray(column.to_numpy(zero_copy_only=False)).reshape(n_rows, n_values)


def _decode(values: list[bytes], where: str, first_row: int, rules: InputRules) -> NDArray[np.uint8]:
    from tasks.sources.pictures import decode_picture

    pixels = np.empty((len(values), PIXEL_COUNT), np.uint8)

    def decode(position: int) -> None:
        name = f"{where}: row {first_row + position}"
        pixels[position] = decode_picture(io.BytesIO(values[position]), name, rules).reshape(-1)

    if sum(map(len, values)) < SMALL_BYTES * len(values):
        for position in range(len(values)):
            decode(position)
        return pixels
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(decode, range(len(values))):
            pass
    return pixels
