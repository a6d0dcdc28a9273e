"""Read text of libsvm, as its site publishes MNIST: a label, and the number and value of each pixel that isn't 0."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.errors import InputError, first_line
from schemas.rules import InputRules
from tasks.sources.files import check_expanded, reading
from tasks.sources.frames import compact
from tasks.sources.tables import Batch, Layout, Table, TableReader

ROW_BYTES = PIXEL_COUNT * 8
CENTRE = 14.0
"""Mean column of the ink of MNIST's digits, which are centred by mass, counted from 0."""
MIN_MARGIN = 0.2
"""Columns by which one count must be nearer to the centre than the other."""


@contextmanager
def _open(path: Path, rules: InputRules) -> Iterator[Table]:
    """Open a file; one that is recognised has labels."""
    notes: list[str] = []
    layout = Layout(path, ["label", "pixels"], has_label=True, has_images=True)
    yield Table(layout, partial(_read, path, rules.max_expanded_mib, notes), notes)


def _read(path: Path, max_mib: int, notes: list[str], *_bounds: int | None) -> Iterator[Batch]:
    """Read a file at once; it is text, several times as large as its pixels."""
    from sklearn.datasets import load_svmlight_file

    with reading(path) as file:
        n_rows = sum(1 for _ in file)
    check_expanded(path, n_rows * ROW_BYTES, max_mib)
    try:
        with reading(path) as file:
            table, labels = load_svmlight_file(file, n_features=PIXEL_COUNT + 1, zero_based=True)
    except (ValueError, OverflowError, IndexError) as error:
        raise InputError(f"{path}: not readable as libsvm's text of 784 pixels ({first_line(error)})") from error
    pixels = np.asarray(table.toarray())
    first = _first_number(path, table.indices, np.abs(pixels).sum(axis=0))
    notes.append(f"pixels are counted from {first}")
    images = pa.FixedSizeListArray.from_arrays(compact(pixels[:, first : first + PIXEL_COUNT]).ravel(), PIXEL_COUNT)
    yield pa.record_batch([pa.array(labels), images], ["label", "pixels"])


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


READER = TableReader("libsvm", _open)
read, check, batches = READER.read, READER.check, READER.batches
