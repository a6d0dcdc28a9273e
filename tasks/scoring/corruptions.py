"""The 15 corruptions of MNIST-C (Mu and Gilmer 2019), written from their description, for measuring robustness.

To add a corruption, add a function and its entry in `CORRUPTIONS`. It gets images (rows × 28 × 28, float from 0 to 1)
and a generator, and returns images of that shape, whose values are clipped.
"""

# ruff: noqa: PLR2004, the strengths of the corruptions

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.images import Images
from schemas.slices import CorruptedAnswers

if TYPE_CHECKING:
    from tasks.inference.predictor import Predict

Floats = NDArray[np.floating]
Corruption = Callable[[Floats, np.random.Generator], Floats]
CENTRE = (SIDE - 1) / 2
MAX_CORRUPTED_ROWS = 1000
"""Test rows, evenly spread, that are corrupted: an accuracy of 90 % then has a standard error of one point."""


def corrupt(pixels: NDArray[np.uint8], name: str, seed: int = 0) -> NDArray[np.uint8]:
    """Return images (rows × 784) with a corruption; the same seed gives the same images."""
    images = pixels.reshape(-1, SIDE, SIDE) / np.float32(255)
    corrupted = CORRUPTIONS[name](images, np.random.default_rng([seed, *name.encode()]))
    return np.rint(np.clip(corrupted, 0, 1) * 255).astype(np.uint8).reshape(-1, PIXEL_COUNT)


def answer_corrupted(predict: Predict, images: Images) -> CorruptedAnswers:
    """Return a network's answers to corrupted images, the same ones for all networks and in every run."""
    rows = np.arange(0, len(images), -(-len(images) // MAX_CORRUPTED_ROWS))
    pixels, labels, names = images.read(rows), images.labels[rows], tuple(CORRUPTIONS)
    right = [predict(corrupt(pixels, name)).argmax(axis=1) == labels for name in names]
    return CorruptedAnswers(names, rows, np.array(right))


def shot_noise(images: Floats, random: np.random.Generator) -> Floats:
    """Draw each pixel from a Poisson distribution, as with few photons."""
    return random.poisson(images * 4) / 4


def impulse_noise(images: Floats, random: np.random.Generator) -> Floats:
    """Make some pixels black and as many white."""
    chance = random.random(images.shape, np.float32)
    return np.where(chance < 0.08, 0, np.where(chance > 0.92, 1, images))


def glass_blur(images: Floats, random: np.random.Generator) -> Floats:
    """Exchange close pixels at random between two slight blurs."""
    moves = random.integers(-1, 2, (2, *images.shape))
    row, y, x = np.ogrid[: len(images), :SIDE, :SIDE]
    blurred = _blur(images, 0.7)
    return _blur(blurred[row, np.clip(y + moves[0], 0, SIDE - 1), np.clip(x + moves[1], 0, SIDE - 1)], 0.7)


def motion_blur(images: Floats, random: np.random.Generator) -> Floats:
    """Average each image along a line of nine pixels in one of eight directions."""
    direction, reach = random.integers(8, size=len(images)), 4
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach)))
    blurred = np.zeros_like(images)
    for number in range(8):
        rows = direction == number
        steps = np.linspace(-reach, reach, 2 * reach + 1)
        shifts = np.rint(np.outer(steps, (np.sin(number * np.pi / 8), np.cos(number * np.pi / 8)))).astype(int) + reach
        for y, x in shifts.tolist():
            blurred[rows] += padded[rows, y : y + SIDE, x : x + SIDE] / len(shifts)
    return blurred


def shear(images: Floats, random: np.random.Generator) -> Floats:
    """Shear to the left or to the right."""
    return _affine(images, [[1, 0], [_both_signs(random, len(images), 0.4, 0.7), 1]])


def scale(images: Floats, random: np.random.Generator) -> Floats:
    """Shrink to between half and two thirds."""
    factor = 1 / random.uniform(0.5, 0.67, len(images))
    return _affine(images, [[factor, 0], [0, factor]])


def rotate(images: Floats, random: np.random.Generator) -> Floats:
    """Rotate by 20 to 40 degrees."""
    angle = np.radians(_both_signs(random, len(images), 20, 40))
    return _affine(images, [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def brightness(images: Floats, random: np.random.Generator) -> Floats:
    """Brighten all pixels."""
    return np.asarray(images + _per_image(random.uniform(0.3, 0.6, len(images))))


def translate(images: Floats, random: np.random.Generator) -> Floats:
    """Move by three to five pixels along each axis."""
    return _affine(images, [[1, 0], [0, 1]], [np.rint(_both_signs(random, len(images), 3, 5)) for _ in "yx"])


def stripe(images: Floats, random: np.random.Generator) -> Floats:
    """Invert a vertical stripe in the centre."""
    half = random.integers(3, 6, len(images))[:, None]
    inside = np.abs(np.arange(SIDE) - CENTRE) < half
    return np.where(inside[:, None], 1 - images, images)


def fog(images: Floats, random: np.random.Generator) -> Floats:
    """Blend with clouds: a sum of smooth noise of several scales, the coarser the stronger."""
    layers = [_zoom(random.random((len(images), n + 1, n + 1), np.float32)) / n for n in (2, 4, 8, 16)]
    clouds = np.sum(layers, axis=0) / sum(1 / n for n in (2, 4, 8, 16))
    return np.asarray(images * 0.6 + clouds * 0.8)


def spatter(images: Floats, random: np.random.Generator) -> Floats:
    """Add bright drops."""
    noise = _blur(random.standard_normal(images.shape, np.float32), 1.2)
    return np.asarray(images + np.clip((noise - 0.36) * 8, 0, 0.8))


def dotted_line(images: Floats, random: np.random.Generator) -> Floats:
    """Draw a dotted line from the left to the right or from the top to the bottom."""
    return _draw(images, random.uniform(2, SIDE - 3, (len(images), 2)), 10, random)


def zigzag(images: Floats, random: np.random.Generator) -> Floats:
    """Draw a zigzag from the left to the right or from the top to the bottom."""
    turns = random.uniform(2, SIDE - 3, (len(images), 1)) + np.resize([-2.5, 2.5], 8)
    return _draw(images, turns, 80, random)


def canny_edges(images: Floats, _random: np.random.Generator) -> Floats:
    """Keep the edges alone (Canny 1986): crests of the gradient that are high, or connected to such."""
    down, right = (ndimage.gaussian_filter(images, (0, 1, 1), order) for order in ((0, 1, 0), (0, 0, 1)))
    slope = np.hypot(down, right)
    padded = np.pad(slope, ((0, 0), (1, 1), (1, 1)))
    sector = np.rint(np.arctan2(down, right) * 4 / np.pi).astype(int) % 4
    is_crest = np.zeros(images.shape, bool)
    for number, (y, x) in enumerate([(0, 1), (1, 1), (1, 0), (1, -1)]):
        before, after = (padded[:, 1 + s * y : 1 + s * y + SIDE, 1 + s * x : 1 + s * x + SIDE] for s in (-1, 1))
        is_crest |= (sector == number) & (slope >= before) & (slope > after)
    flat = np.ones((1, 3, 3), bool)  # connects pixels of one image only
    edges = ndimage.binary_propagation(is_crest & (slope > 0.2), flat, is_crest & (slope > 0.1))
    return np.asarray(edges, np.float32)


CORRUPTIONS: dict[str, Corruption] = {
    function.__name__.replace("_", " "): function
    for function in (
        shot_noise, impulse_noise, glass_blur, motion_blur, shear, scale, rotate, brightness, translate, stripe, fog,
        spatter, dotted_line, zigzag, canny_edges,
    )
}  # fmt: skip


def _blur(images: Floats, sigma: float) -> Floats:
    return np.asarray(ndimage.gaussian_filter(images, (0, sigma, sigma)))


def _zoom(grids: Floats) -> Floats:
    """Interpolate grids to images linearly."""
    steps = (SIDE - 1) / (grids.shape[1] - 1)
    position = np.arange(SIDE) / steps
    weights = np.maximum(1 - np.abs(position[:, None] - np.arange(grids.shape[1])), 0).astype(np.float32)
    return np.asarray(weights @ grids @ weights.T)


def _per_image(values: Floats) -> Floats:
    return np.asarray(values, np.float32)[:, None, None]


def _both_signs(random: np.random.Generator, n_rows: int, low: float, high: float) -> Floats:
    return np.asarray(random.uniform(low, high, n_rows) * random.choice([-1, 1], n_rows))


def _affine(images: Floats, matrix: list[list[Floats | float]], shift: list[Floats] | None = None) -> Floats:
    """Take each pixel from the position that its image's matrix and shift map (y, x) to, about the centre."""
    axis = np.arange(SIDE) - CENTRE
    y, x = axis[:, None], axis[None]
    rows = np.arange(len(images))
    positions = [
        _per_image(np.broadcast_to(a, rows.shape)) * y + _per_image(np.broadcast_to(b, rows.shape)) * x + CENTRE
        for a, b in matrix
    ]
    if shift:
        positions = [position + _per_image(by) for position, by in zip(positions, shift, strict=True)]
    number = np.broadcast_to(rows[:, None, None], images.shape)
    return np.asarray(ndimage.map_coordinates(images, [number, *positions], order=1))


def _draw(images: Floats, corners: Floats, n_points: int, random: np.random.Generator) -> Floats:
    """Draw points, two pixels thick, along a line from corner to corner (rows × n) of each image."""
    n_corners = corners.shape[1]
    along = np.linspace(1, SIDE - 3, n_points)
    position = np.linspace(0, n_corners - 1, n_points)
    weights = np.maximum(1 - np.abs(position - np.arange(n_corners)[:, None]), 0)
    across = np.clip(corners @ weights, 0, SIDE - 2)
    lines, rows = np.zeros_like(images), np.arange(len(images))[:, None]
    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        lines[rows, across.astype(int) + y, along.astype(int) + x] = 1
    flipped = random.random(len(images)) < 0.5
    lines[flipped] = lines[flipped].transpose(0, 2, 1)
    return np.maximum(images, lines)
