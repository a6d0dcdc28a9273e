"""Divide the test rows into slices: by digit, by the file that they come from, and by measures of the image.

A new measure is one entry of `MEASURES`, with its function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.digits import CLASSES, SIDE
from schemas.pixel_frame import BLOCK_ROWS, blocks
from schemas.results import Dataset
from schemas.slices import Division, SliceMetrics
from tasks.scoring.metrics import wilson_interval

Floats = NDArray[np.floating]
MAX_MEASURED_ROWS = 10_000
"""Training rows, evenly spread, that the limits between slices are computed from."""
_X, _Y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
_POWERS = np.stack([np.ones_like(_X), _X, _Y, _X * _X, _X * _Y, _Y * _Y]).reshape(6, -1).T.astype(np.float32)


class Measure(NamedTuple):
    """A measure of images (rows × 784, float), and the names of its slices of equal numbers of training rows."""

    name: str
    slices: tuple[str, ...]
    function: Callable[[Floats], Floats]


def _moments(pixels: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the variances of the ink along x and y, in squared pixels, and its covariance."""
    total, x, y, xx, xy, yy = (pixels @ _POWERS).astype(np.float64).T
    total, x, y = np.maximum(total, 1), x / np.maximum(total, 1), y / np.maximum(total, 1)
    return xx / total - x * x, yy / total - y * y, xy / total - x * y


def _thickness(pixels: Floats) -> Floats:
    """Return twice the ink over the length of its outline, which is the total variation: the width of a long line."""
    inside = pixels[:, :-SIDE]
    down, right = pixels[:, SIDE:] - inside, pixels[:, 1 : 1 - SIDE] - inside
    down *= down
    right *= right
    down += right
    outline = np.sqrt(down, out=down).sum(axis=1)
    return np.asarray(2 * pixels.sum(axis=1) / np.maximum(outline, 1))


def _slant(pixels: Floats) -> Floats:
    """Return how many pixels the ink moves to the right for each pixel upwards."""
    _, variance, covariance = _moments(pixels)
    return -covariance / np.maximum(variance, 1)


def _size(pixels: Floats) -> Floats:
    """Return the standard deviation of the ink's position, in pixels."""
    across, down, _ = _moments(pixels)
    return np.sqrt(across + down)


MEASURES = (
    Measure("stroke thickness", ("thinnest", "thin", "thick", "thickest"), _thickness),
    Measure("slant", ("most to the left", "to the left", "to the right", "most to the right"), _slant),
    Measure("ink", ("least", "little", "much", "most"), lambda pixels: pixels.mean(axis=1)),
    Measure("size", ("smallest", "small", "large", "largest"), _size),
)


def divide(dataset: Dataset) -> tuple[Division, ...]:
    """Return the divisions of the test rows; the quantiles of the training rows are the limits between slices."""
    step = -(-len(dataset.train) // MAX_MEASURED_ROWS)
    trained = _measure([dataset.train.read(slice(None, None, step))])
    tested = _measure(dataset.test.read(piece) for piece in dataset.test.pieces())
    divisions = [by_digit(dataset.test.labels), *([dataset.test_origin] if dataset.test_origin else [])]
    for measure, train, test in zip(MEASURES, trained, tested, strict=True):
        limits = np.quantile(train, np.arange(1, len(measure.slices)) / len(measure.slices))
        divisions.append(Division(measure.name, measure.slices, np.searchsorted(limits, test, side="right")))
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


def _measure(pieces: Iterable[NDArray[np.uint8]]) -> list[Floats]:
    """Return each measure of all images."""
    return [np.concatenate(values) for values in zip(*_measured_blocks(pieces), strict=True)]


def _measured_blocks(pieces: Iterable[NDArray[np.uint8]]) -> Iterator[list[Floats]]:
    for pixels in pieces:
        for block in blocks(len(pixels), BLOCK_ROWS):
            images = pixels[block].astype(np.float32)
            yield [measure.function(images) for measure in MEASURES]
