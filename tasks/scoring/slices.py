"""Divide the test rows into slices: by digit, by the file that they come from, and by measures of the image."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from schemas.digits import CLASSES
from schemas.results import Dataset
from schemas.slices import Division, SliceMetrics
from tasks.scoring.measures import SLICED, measure
from tasks.scoring.metrics import wilson_interval


def divide(dataset: Dataset) -> tuple[Division, ...]:
    """Return the divisions of the test rows; the quantiles of the training rows are the limits between slices."""
    divisions = [by_digit(dataset.test.labels), *([dataset.test_origin] if dataset.test_origin else [])]
    values_by_piece = [measure(dataset.test.read(piece), SLICED) for piece in dataset.test.pieces()]
    for each, *values in zip(SLICED, *values_by_piece, strict=True):
        n_slices = len(each.slices)
        limits = dataset.profile.percentiles[each.name][100 * np.arange(1, n_slices) // n_slices - 1]
        divisions.append(
            Division(each.name, each.slices, np.searchsorted(limits, np.concatenate(values), side="right"))
        )
    return tuple(divisions)


def by_digit(labels: NDArray[np.uint8]) -> Division:
    """Return the division by the label."""
    return Division("digit", tuple(map(str, CLASSES)), labels)


def count(division: Division, rows: NDArray[np.intp] | NDArray[np.bool_] | slice = slice(None)) -> list[int]:
    """Return how many of some rows are in each slice."""
    counts: list[int] = np.bincount(division.numbers[rows], minlength=len(division.slices)).tolist()
    return counts


def metrics(divisions: Iterable[Division], right: NDArray[np.bool_]) -> tuple[SliceMetrics, ...]:
    """Return the accuracy in each slice that has rows."""
    return tuple(
        SliceMetrics(division.name, name, n_rows, n_right / n_rows, wilson_interval(n_right, n_rows))
        for division in divisions
        for name, n_rows, n_right in zip(division.slices, count(division), count(division, right), strict=True)
        if n_rows
    )
