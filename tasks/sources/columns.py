"""Convert batches of a table of columns to frames: a label and 784 pixels, or a label and an image in one column."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from schemas.digits import PIXEL_COUNT
from schemas.errors import InputError
from schemas.rules import InputRules
from tasks.sources.frames import (
    check_labelled,
    check_unique,
    data_columns,
    find_named_label,
    images_to_frame,
    is_label_name,
    is_pixel_order,
    table_to_frame,
)
from tasks.sources.labels import parse_labels
from tasks.sources.picture_formats import is_picture
from tasks.sources.sizes import PIXEL_COUNTS, check_size

Batch: TypeAlias = "pa.Table | pa.RecordBatch"
THREADS = 2
"""Threads that decode pictures; with more, they wait for each other."""
SMALL_BYTES = 4096
"""Mean size of pictures below which one thread decodes them: for most of the time, they need Python's lock."""


class Layout(NamedTuple):
    """The columns to read: the label first, if there is one, then the pixels, or one column of images."""

    path: Path
    names: list[str]
    has_label: bool
    has_images: bool
    has_text_label: bool
    row_bytes: int
    """Size of a row once it is read."""

    def check_labelled(self, rules: InputRules) -> None:
        """Raise InputError unless there is a label, and 784 pixels or an image."""
        if not self.has_images and self._has_other_size:
            check_size(str(self.path), len(self.names) - 1, rules)
        elif not self.has_images:
            check_labelled(self._standard_names, self.path)
        elif not self.has_label:
            raise InputError(f"{self.path}: a column of images without labels; a column named label is needed")

    @property
    def _standard_names(self) -> list[str]:
        return ["label", *self.names[1:]] if self.has_label else self.names

    @property
    def _has_other_size(self) -> bool:
        """Whether the columns are the pixels of images of another known size than 28 × 28, and their labels."""
        n_pixels = len(self.names) - 1
        is_other = n_pixels in PIXEL_COUNTS and n_pixels != PIXEL_COUNT
        return is_other and self.has_label and is_pixel_order(self.names[1:])

    def to_frame(self, batch: Batch, first_row: int, rules: InputRules) -> pd.DataFrame:
        """Build a frame from a batch of these columns; rows are numbered from `first_row`."""
        index = pd.RangeIndex(first_row, first_row + batch.num_rows)
        if self.has_images:
            return self._images_to_frame(batch, index, rules)
        if self.has_text_label:
            batch = batch.set_column(0, self.names[0], pa.array(self._read_labels(batch)))
        if self._has_other_size:
            check_size(str(self.path), len(self.names) - 1, rules)
            labels, *pixels = (np.asarray(column, np.float64) for column in narrow(batch).columns)
            return images_to_frame(np.stack(pixels, axis=1), labels, index)
        return table_to_frame(narrow(batch).rename_columns(self._standard_names), first_row)

    def _images_to_frame(self, batch: Batch, index: pd.RangeIndex, rules: InputRules) -> pd.DataFrame:
        labels = self._read_labels(batch) if self.has_label else None
        name = self.names[-1]
        column = batch.column(len(self.names) - 1)
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if isinstance(array, pa.ChunkedArray):  # too large for one
            array = pa.concat_arrays(array.chunks)
        return images_to_frame(_read_images(array, f"{self.path}, column {name}", index.start, rules), labels, index)

    def _read_labels(self, batch: Batch) -> NDArray[np.generic]:
        values = batch.column(0)
        if not self.has_text_label:
            return np.asarray(values)
        return parse_labels(values.to_pylist(), f"{self.path}, column {self.names[0]}")


def find_layout(path: Path, schema: pa.Schema, rules: InputRules) -> Layout:
    """Return the columns to read; raise InputError for columns that are neither numbers, text labels nor images."""
    all_names = schema.names  # pyarrow builds them on every access
    label = find_named_label(str(path), all_names, rules.label_column)
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
    row_bits = sum(schema.field(name).type.bit_width for name in names[has_text_label:]) + 64 * has_text_label
    return Layout(path, names, has_label, False, has_text_label, row_bits // 8)  # noqa: FBT003, has_images


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
    has_text_label = bool(labels) and not _is_number(schema.field(labels[0]).type)
    return Layout(path, [*labels, *images], bool(labels), True, has_text_label, PIXEL_COUNT + 1)  # noqa: FBT003


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
