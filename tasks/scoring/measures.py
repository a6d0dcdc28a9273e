"""Measures of images: they divide the test rows into slices, and tell what is unusual about a picture.

A new measure is one entry of `MEASURES`, with its function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from schemas.digits import SIDE
from schemas.pixel_frame import blocks

Floats = NDArray[np.floating]
PERCENTS = np.arange(1, 100)
"""The percentiles of each measure that a reference profile holds."""
INK = 0.25
"""Share of an image's brightest pixel from which a pixel is ink."""
_X, _Y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
_POWERS = np.stack([np.ones_like(_X), _X, _Y, _X * _X, _X * _Y, _Y * _Y]).reshape(6, -1).T.astype(np.float32)
_CENTRE = SIDE // 2
"""Where MNIST's digits have their ink's mean position."""
_BORDER = np.flatnonzero(np.pad(np.zeros((SIDE - 2, SIDE - 2), bool), 1, constant_values=True))
_IN_PLANE = np.stack([np.zeros((3, 3), int), np.ones((3, 3), int), np.zeros((3, 3), int)])
_THAN = " than {share} % of the training digits"


class Measure(NamedTuple):
    """A measure of images (rows × 784, float).

    `low` and `high` describe an image that has less, or more, of it than `share` percent of the training images, and
    may contain its `value`; "" if that is nothing to mention. `slices` names its slices of equal numbers of training
    rows, if it has any.
    """

    name: str
    function: Callable[[Floats], Floats]
    low: str
    high: str
    slices: tuple[str, ...] = ()


def _moments(pixels: Floats) -> tuple[Floats, ...]:
    """Return the ink's mean position along x and y, its variances, in squared pixels, and its covariance."""
    total, x, y, xx, xy, yy = (pixels @ _POWERS).astype(np.float64).T
    total, x, y = np.maximum(total, 1), x / np.maximum(total, 1), y / np.maximum(total, 1)
    return x, y, xx / total - x * x, yy / total - y * y, xy / total - x * y


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
    *_, variance, covariance = _moments(pixels)
    return -covariance / np.maximum(variance, 1)


def _size(pixels: Floats) -> Floats:
    """Return the standard deviation of the ink's position, in pixels."""
    _, _, across, down, _ = _moments(pixels)
    return np.sqrt(across + down)


def _offset(pixels: Floats) -> Floats:
    """Return the distance of the ink's mean position from the centre, in whole pixels: less can't be seen."""
    x, y, *_ = _moments(pixels)
    return np.rint(np.hypot(x - _CENTRE, y - _CENTRE))


def _contrast(pixels: Floats) -> Floats:
    """Return the mean brightness, weighted by brightness: that of the ink, whatever its amount."""
    return np.asarray(np.einsum("ij,ij->i", pixels, pixels) / np.maximum(pixels.sum(axis=1), 1))


def _pieces(pixels: Floats) -> Floats:
    """Return the number of connected pieces of ink; pixels that touch at a corner are connected."""
    labels, _ = ndimage.label(_ink(pixels).reshape(-1, SIDE, SIDE), _IN_PLANE)  # counts on from image to image
    return np.diff(np.maximum.accumulate(labels.max(axis=(1, 2))), prepend=0).astype(np.float64)


def _border_ink(pixels: Floats) -> Floats:
    """Return the number of ink pixels at the border."""
    return np.asarray(_ink(pixels)[:, _BORDER].sum(axis=1, dtype=np.float64))


def _ink(pixels: Floats) -> NDArray[np.bool_]:
    return np.asarray(pixels >= np.maximum(INK * pixels.max(axis=1, keepdims=True), 1))


MEASURES = (
    Measure(
        "stroke thickness", _thickness, f"strokes thinner{_THAN}", f"strokes thicker{_THAN}",
        ("thinnest", "thin", "thick", "thickest"),
    ),
    Measure(
        "slant", _slant, f"leans more to the left{_THAN}", f"leans more to the right{_THAN}",
        ("most to the left", "to the left", "to the right", "most to the right"),
    ),
    Measure(
        "ink", lambda pixels: pixels.mean(axis=1), f"less ink{_THAN}", f"more ink{_THAN}",
        ("least", "little", "much", "most"),
    ),
    Measure(
        "size", _size, f"smaller{_THAN}", f"larger{_THAN}", ("smallest", "small", "large", "largest"),
    ),
    Measure("contrast", _contrast, f"low contrast: fainter{_THAN}", ""),
    Measure("pieces", _pieces, "", "in {value:.0f} pieces"),
    Measure("border", _border_ink, "", "touches the border"),
    Measure("offset", _offset, "", "off-centre by {value:.0f} pixels"),
)  # fmt: skip
SLICED = tuple(measure for measure in MEASURES if measure.slices)


def measure(pixels: NDArray[np.uint8], measures: tuple[Measure, ...] = MEASURES) -> list[Floats]:
    """Return each measure of images (rows × 784)."""
    by_block = []
    for block in blocks(len(pixels)):
        images = pixels[block].astype(np.float32)
        by_block.append([each.function(images) for each in measures])
    return [np.concatenate(values) for values in zip(*by_block, strict=True)]
