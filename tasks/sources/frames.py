"""Put what a reader found into a frame, as it came: labels and pixels under the columns that the source names."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.pixel_frame import LABELLED_COLUMNS, PIXEL_COLUMNS, labelled_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

QUARANTINE_COLUMNS = ("part", "item", "reasons")
"""What the quarantine adds to a row; a file of rows that were mended there is a source like any other."""

TURNED = 256
"""Columns that are made parts of rows together: all at once would leave the processor's cache, each alone fill it."""

# The layouts that people have: Kaggle's Digit Recognizer, OpenML's, mnist_train.csv with its `1x1` … `28x28`, and what
# pandas writes of columns that were never named.
_PIXEL_LAYOUTS = (
    PIXEL_COLUMNS,
    tuple(f"pixel{number}" for number in range(1, PIXEL_COUNT + 1)),
    tuple(f"{row}x{column}" for row in range(1, SIDE + 1) for column in range(1, SIDE + 1)),
    tuple(str(number) for number in range(PIXEL_COUNT)),
    tuple(str(number) for number in range(1, PIXEL_COUNT + 1)),
)
_LABEL_NAMES = ("label", "class")
_IGNORED = re.compile(rf"{'|'.join(QUARANTINE_COLUMNS)}|__index_level_\d+__")


class Frames(NamedTuple):
    """What a reader gives: a frame to train on and, where the source has one, a frame to test with."""

    train: pd.DataFrame
    test: pd.DataFrame | None = None


def wanted(names: Sequence[str]) -> list[int]:
    """Give the positions of the columns that are the data's own, a known label in front."""
    kept = [position for position, name in enumerate(names) if not _IGNORED.fullmatch(name)]
    if kept and names[kept[-1]] in _LABEL_NAMES:
        kept.insert(0, kept.pop())
    return kept


def repeated(names: Sequence[str]) -> str | None:
    """Give a name that is there more than once, if there is one."""
    if len(set(names)) == len(names):
        return None
    return min(name for name, count in Counter(names).items() if count > 1)


def is_layout(names: Sequence[str]) -> bool:
    """Tell whether these are the names of a known layout, in its order, whatever else is among them."""
    kept = [names[position] for position in wanted(names)]
    return tuple(standard(kept)) in {PIXEL_COLUMNS, LABELLED_COLUMNS}


def standard(names: Sequence[str]) -> list[str]:
    """Call the columns of a known layout as a pixel frame does; leave others as they are, for validation to judge."""
    label, pixels = tuple(names[:1]), tuple(names[1:])
    if tuple(names) in _PIXEL_LAYOUTS:
        return list(PIXEL_COLUMNS)
    if pixels in _PIXEL_LAYOUTS and label[0] in _LABEL_NAMES:
        return list(LABELLED_COLUMNS)
    return list(names)


def of_table(table: pa.Table | pa.RecordBatch, start: int) -> pd.DataFrame:
    """Build a frame of a table whose columns are `uint8` or `float64`; its rows are numbered from `start` on."""
    kind = np.uint8 if all(column == "uint8" for column in table.schema.types) else np.float64
    columns = [column.to_numpy(zero_copy_only=False) for column in table.columns]  # nulls are NaN
    values = np.empty((table.num_rows, len(columns)), kind)
    for first in range(0, len(columns), TURNED):
        values[:, first : first + TURNED] = np.stack(columns[first : first + TURNED]).T
    index = pd.RangeIndex(start, start + table.num_rows)
    return pd.DataFrame(values, index=index, columns=standard(table.schema.names), copy=False)


def of_images(
    pixels: NDArray[np.generic], labels: NDArray[np.generic] | None, items: Sequence[str] | None = None, start: int = 0
) -> pd.DataFrame:
    """Build a frame of images (rows × 784) and their labels, if there are any, as `uint8` wherever that loses nothing.

    Its index are the items, else the rows' numbers from `start` on.
    """
    index = pd.RangeIndex(start, start + len(pixels)) if items is None else pd.Index(items)
    pixels = _compact(pixels)
    if labels is None:
        return pd.DataFrame(pixels, index=index, columns=list(PIXEL_COLUMNS), copy=False)
    labels = _compact(labels)
    if pixels.dtype == labels.dtype == np.uint8:
        return labelled_frame(np.asarray(pixels, np.uint8), np.asarray(labels, np.uint8)).set_index(index)
    frame = pd.DataFrame(pixels, index=index, columns=list(PIXEL_COLUMNS), copy=False)
    frame.insert(0, "label", labels)
    return frame


def joined(pieces: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the pieces of a frame together."""
    return pieces[0] if len(pieces) == 1 else pd.concat(pieces)


def _compact(values: NDArray[np.generic]) -> NDArray[np.generic]:
    if values.dtype == np.uint8:
        return values
    with np.errstate(invalid="ignore"):  # what is no number is no `uint8` either: the comparison tells
        small = values.astype(np.uint8)
    return small if np.array_equal(small, values) else values
