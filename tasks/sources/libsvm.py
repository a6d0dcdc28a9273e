"""Read text of libsvm, as its site publishes MNIST: a label, and the number and value of each pixel that isn't 0."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.errors import InputError, first_line
from schemas.rules import InputRules, Rules
from tasks.sources.files import check_expanded, reading
from tasks.sources.frames import Frames, collect, images_to_frame

ROW_BYTES = PIXEL_COUNT * 8
CENTRE = 14.0
"""Mean column of the ink of MNIST's digits, which are centred by mass, counted from 0."""
MIN_MARGIN = 0.2
"""Columns by which one count must be nearer to the centre than the other."""


def read(path: Path, rules: Rules) -> Frames:
    """Read all rows of a file."""
    return collect(batches(path, rules, 1))


def check(path: Path, _rules: InputRules) -> None:
    """Do nothing: a file that is recognised has labels."""


def batches(path: Path, rules: InputRules, _n_rows: int) -> Iterator[pd.DataFrame]:
    """Read a file at once; it is text, several times as large as its pixels."""
    from sklearn.datasets import load_svmlight_file

    with reading(path) as file:
        n_rows = sum(1 for _ in file)
    check_expanded(path, n_rows * ROW_BYTES, rules.max_expanded_mib)
    try:
        with reading(path) as file:
            table, labels = load_svmlight_file(file, n_features=PIXEL_COUNT + 1, zero_based=True)
    except (ValueError, OverflowError, IndexError) as error:
        raise InputError(f"{path}: not readable as libsvm's text of 784 pixels ({first_line(error)})") from error
    pixels = np.asarray(table.toarray())
    first = _first_number(path, table.indices, np.abs(pixels).sum(axis=0))
    frame = images_to_frame(pixels[:, first : first + PIXEL_COUNT], np.asarray(labels))
    frame.attrs["notes"] = [f"pixels are counted from {first}"]
    yield frame


def _first_number(path: Path, numbers: NDArray[np.integer], ink: NDArray[np.float64]) -> int:
    """Return the number, 0 or 1, of the first pixel: by the numbers or, as files omit pixels of 0, by the centre."""
    has_first, has_last = 0 in numbers, PIXEL_COUNT in numbers
    if has_first and has_last:
        raise InputError(f"{path}: has the numbers 0 and {PIXEL_COUNT}; expected {PIXEL_COUNT} pixels")
    if has_first or has_last:
        return int(has_last)
    distances = [abs(_mean_column(ink[first : first + PIXEL_COUNT]) - CENTRE) for first in (0, 1)]
    if abs(distances[0] - distances[1]) < MIN_MARGIN:
        raise InputError(
            f"{path}: can't tell whether pixels are counted from 0 or 1; add 0:0 or {PIXEL_COUNT}:0 to a row"
        )
    return int(distances[1] < distances[0])


def _mean_column(ink: NDArray[np.float64]) -> float:
    columns = np.arange(PIXEL_COUNT) % SIDE
    return float((ink * columns).sum() / max(ink.sum(), 1))
