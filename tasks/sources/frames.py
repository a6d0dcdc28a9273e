"""Convert the labels and pixels of all formats to frames with the columns of a pixel frame."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.digits import PIXEL_COUNT
from schemas.errors import InputError
from schemas.pixel_frame import LABELLED_COLUMNS, PIXEL_COLUMNS, labelled_frame

QUARANTINE_COLUMNS = ("part", "item", "reasons")
"""Columns of the quarantine. Readers ignore them, so that a file of corrected rows can be used as a source."""
COLUMN_BLOCK = 256
"""Columns that are transposed together; more exceed the processor's cache."""

_LABEL_NAMES = frozenset({"label", "labels", "class", "target", "digit", "y"})
_IGNORED = re.compile(
    rf"{'|'.join(QUARANTINE_COLUMNS)}|__index_level_\d+__|(unnamed: \d+(\.\d+)*)?|index|id|image_?id", re.IGNORECASE
)
_NUMBER = re.compile(r"[0-9]{1,9}")


class Frames(NamedTuple):
    """A source's frame to train on and, if it has one, its frame to test with.

    `notes` say, a line each, what was guessed or left out.
    """

    train: pd.DataFrame
    test: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


def data_columns(names: Sequence[str], label: int | None = None) -> list[int]:
    """Return the positions of the columns that hold data: first the label, by its name or `label`, then the pixels.

    Numbered pixels are put in their order; columns of row numbers and the like are left out.
    """
    data = [position for position, name in enumerate(names) if position == label or not _IGNORED.fullmatch(name)]
    labels = [position for position in data if is_label_name(names[position])] if label is None else [label]
    if len(labels) > 1:
        return data
    pixels = [position for position in data if position not in labels]
    order = _pixel_order(tuple(names[position] for position in pixels)) or range(len(pixels))
    return [*labels, *(pixels[number] for number in order)]


def find_named_label(where: str, names: Sequence[str], label_column: str) -> int | None:
    """Return the position of the column that `--label-column` names, or numbers from 1; None if it isn't given."""
    if not label_column:
        return None
    if label_column.isdecimal() and 1 <= int(label_column) <= len(names):
        return int(label_column) - 1
    if label_column in names and not label_column.isdecimal():
        return names.index(label_column)
    raise InputError(f"{where}: --label-column {label_column}: no such column of {len(names)}; numbers begin at 1")


def is_label_name(name: str) -> bool:
    """Check whether this is a usual name of the column of labels."""
    return name.casefold() in _LABEL_NAMES


def is_pixel_order(names: Sequence[str]) -> bool:
    """Check whether columns are numbered in ascending order."""
    return _pixel_order(tuple(names)) == tuple(range(len(names)))


@lru_cache(maxsize=32)  # thousands of small files have the same names
def _pixel_order(names: tuple[str, ...]) -> tuple[int, ...] | None:
    """Return the order of columns that are numbered without a gap, such as `pixel0` or `1x1`; None for any others."""
    numbers = [tuple(map(int, _NUMBER.findall(name))) for name in names]
    if len({tuple(_NUMBER.split(name)) for name in names}) != 1 or not numbers[0]:
        return None
    axes = [sorted(set(axis)) for axis in zip(*numbers, strict=True)]
    is_complete = prod(map(len, axes)) == len(names) and sorted(numbers) == list(product(*axes))
    if not is_complete or not all(map(is_sequence, axes)):
        return None
    return tuple(sorted(range(len(names)), key=numbers.__getitem__))


def is_sequence(numbers: Sequence[float]) -> bool:
    """Check whether numbers ascend by 1."""
    return all(number == numbers[0] + position for position, number in enumerate(numbers))


def check_unique(names: Sequence[str], where: str) -> None:
    """Raise InputError, with a message that begins with `where`, if two columns have the same name."""
    if duplicates := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"{where}: two columns are named {min(duplicates)!r}")


def is_known_layout(names: Sequence[str]) -> bool:
    """Check whether these are the names of a known layout, in its order; ignored columns may be among them."""
    data = [names[position] for position in data_columns(names)]
    return tuple(standard_names(data)) in {PIXEL_COLUMNS, LABELLED_COLUMNS}


def standard_names(names: Sequence[str]) -> list[str]:
    """Return a pixel frame's names for the columns of a known layout; others stay; validation rejects them."""
    n_labels = int(bool(names) and is_label_name(names[0]))
    pixels = names[n_labels:]
    if len(pixels) == PIXEL_COUNT and is_pixel_order(pixels):
        return list(LABELLED_COLUMNS if n_labels else PIXEL_COLUMNS)
    return list(names)


def columns_to_frame(columns: Sequence[NDArray[Any]] | NDArray[Any], names: list[str], index: pd.Index) -> pd.DataFrame:
    """Build a frame from columns of one data type, whose values share one C-ordered array."""
    values = np.empty((len(index), len(columns)), columns[0].dtype)
    for start in range(0, len(columns), COLUMN_BLOCK):
        values[:, start : start + COLUMN_BLOCK] = np.asarray(columns[start : start + COLUMN_BLOCK]).T
    return pd.DataFrame(values, index=index, columns=names, copy=False)


def images_to_frame(
    pixels: NDArray[np.generic], labels: NDArray[np.generic] | None, index: pd.Index | None = None
) -> pd.DataFrame:
    """Build a frame from images (rows × 28 × 28 or × 784) and labels, if any; as `uint8` where that loses nothing.

    Images of other sizes are resized.
    """
    from tasks.sources import sizes

    index = pd.RangeIndex(len(pixels)) if index is None else index
    n_pixels = prod(pixels.shape[1:])
    pixels = compact(pixels.reshape(len(pixels), n_pixels) if n_pixels == PIXEL_COUNT else sizes.resize(pixels))
    labels = None if labels is None else compact(labels)
    if labels is not None and pixels.dtype == labels.dtype == np.uint8:
        return labelled_frame(np.asarray(pixels, np.uint8), np.asarray(labels, np.uint8)).set_index(index)
    frame = pd.DataFrame(pixels, index=index, columns=list(PIXEL_COLUMNS), copy=False)
    if labels is not None:
        frame.insert(0, "label", labels)
    return frame


def collect(frames: Iterable[pd.DataFrame]) -> Frames:
    """Return the rows of several frames to train on, with the notes in their `attrs`."""
    frames = list(frames)
    notes = [note for frame in frames for note in frame.attrs.pop("notes", ())]
    return Frames(concatenate(frames), notes=tuple(notes))


def concatenate(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return one frame with the rows of several; a single one isn't copied."""
    return frames[0] if len(frames) == 1 else pd.concat(frames)


def compact(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return values as `uint8` where that loses nothing."""
    if values.dtype == np.uint8:
        return values
    with np.errstate(invalid="ignore"):  # NaN becomes any byte; the comparison detects it
        as_uint8 = values.astype(np.uint8)
    # pandas takes no numbers in another byte order than the processor's.
    return as_uint8 if np.array_equal(as_uint8, values) else values.astype(values.dtype.newbyteorder("="), copy=False)
