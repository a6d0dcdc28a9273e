"""Put what a reader found into a frame, as it came: labels and pixels under the columns that the source names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.pixel_frame import LABELLED_COLUMNS, PIXEL_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

QUARANTINE_COLUMNS = ("part", "item", "reasons")
"""What the quarantine adds to a row; a file of rows that were mended there is a source like any other."""

# The layouts that people have: Kaggle's Digit Recognizer, OpenML's, and mnist_train.csv with its `1x1` … `28x28`.
_PIXEL_LAYOUTS = (
    PIXEL_COLUMNS,
    tuple(f"pixel{number}" for number in range(1, PIXEL_COUNT + 1)),
    tuple(f"{row}x{column}" for row in range(1, SIDE + 1) for column in range(1, SIDE + 1)),
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


def standard(names: Sequence[str]) -> list[str]:
    """Call the columns of a known layout as a pixel frame does; leave others as they are, for validation to judge."""
    label, pixels = tuple(names[:1]), tuple(names[1:])
    if tuple(names) in _PIXEL_LAYOUTS:
        return list(PIXEL_COLUMNS)
    if pixels in _PIXEL_LAYOUTS and label[0] in _LABEL_NAMES:
        return list(LABELLED_COLUMNS)
    return list(names)


def of_table(names: Sequence[str], values: NDArray[np.generic]) -> pd.DataFrame:
    """Build a frame of one array (rows × columns), without a copy."""
    return pd.DataFrame(values, columns=standard(names), copy=False)


def of_images(
    pixels: NDArray[np.generic], labels: NDArray[np.generic], items: Sequence[str] | None = None
) -> pd.DataFrame:
    """Build a frame of images (rows × 784) and their labels, as `uint8` wherever that loses nothing."""
    pixels, labels = _compact(pixels), _compact(labels)
    index = None if items is None else pd.Index(items)
    if pixels.dtype == labels.dtype:
        table = np.empty((len(labels), 1 + PIXEL_COUNT), pixels.dtype)
        table[:, 0], table[:, 1:] = labels, pixels
        return pd.DataFrame(table, index=index, columns=list(LABELLED_COLUMNS), copy=False)
    frame = pd.DataFrame(pixels, index=index, columns=list(PIXEL_COLUMNS), copy=False)
    frame.insert(0, "label", labels)
    return frame


def _compact(values: NDArray[np.generic]) -> NDArray[np.generic]:
    if values.dtype == np.uint8:
        return values
    with np.errstate(invalid="ignore"):  # what is no number is no `uint8` either: the comparison tells
        small = values.astype(np.uint8)
    return small if np.array_equal(small, values) else values
