"""Random augmentation of digits inside the training graph: a small affine map, an elastic one, and corruptions.

Each group of 32 images shares one deformation, so that a pixel is gathered for all of them at once; that is much faster
than deforming each image separately. The order of rows, and thus the groups, differ in every epoch.

A corruption changes consecutive rows of a batch, which are random rows, too. To add one, add a field to the recipe and
an entry to `CORRUPTIONS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.recipe import Recipe
from tasks.training.worker import GROUP, BatchShard

CONTROL_POINTS = 7
WHITE = 255.0
PADDED_SIDE = SIDE + 2  # a border of background, so that edge pixels have all four neighbours


def deform(images: tf.Tensor, seed: tf.Tensor, recipe: Recipe, shard: BatchShard) -> tf.Tensor:
    """Deform the images of a shard (rows × 784, float) at random; the seed (two integers) is that of the batch.

    After Simard, Steinkraus and Platt 2003, with a displacement field interpolated from 7 × 7 random points instead of
    a Gaussian filter.
    """
    n_rows = tf.shape(images)[0]
    n_groups = (n_rows + GROUP - 1) // GROUP
    padded = tf.pad(images, [[0, n_groups * GROUP - n_rows], [0, 0]])
    # Pixel-major: the same pixel of all images of a group is one run of memory.
    by_pixel = tf.transpose(tf.reshape(padded, [n_groups, GROUP, PIXEL_COUNT]), [0, 2, 1])
    bordered = tf.pad(tf.reshape(by_pixel, [n_groups, SIDE, SIDE, GROUP]), [[0, 0], [1, 1], [1, 1], [0, 0]])
    deformed = _sample(tf.reshape(bordered, [n_groups * PADDED_SIDE**2, GROUP]), _positions(shard, seed, recipe))
    by_image = tf.transpose(tf.reshape(deformed, [n_groups, PIXEL_COUNT, GROUP]), [0, 2, 1])
    return tf.reshape(by_image, [n_groups * GROUP, PIXEL_COUNT])[:n_rows]


class Draws:
    """Random numbers for a worker's rows of a piece of the batch; each call returns others."""

    def __init__(self, seed: tf.Tensor, n_rows: tf.Tensor, own: slice) -> None:
        self._seed, self._n_rows, self._own = seed, n_rows, own

    def __call__(self, *shape: int, draw: Callable[..., tf.Tensor] = tf.random.stateless_uniform) -> tf.Tensor:
        self._seed = tf.random.experimental.stateless_fold_in(self._seed, 0)
        # Every worker draws for the whole piece, so that the draws don't depend on the workers.
        return draw([self._n_rows, *shape], self._seed)[self._own]


def corrupt(images: tf.Tensor, seed: tf.Tensor, recipe: Recipe, shard: BatchShard) -> tf.Tensor:
    """Corrupt half of a batch, each part of it in one way; return a shard's images (rows × 784, float)."""
    used = [(function, strength) for name, function in CORRUPTIONS.items() if (strength := getattr(recipe, name))]
    pieces = []
    for number, (function, strength) in enumerate(used):
        first, last = (shard.n_rows * n // (2 * len(used)) for n in (number, number + 1))
        own_first, own_last = (tf.clip_by_value(row, first, last) for row in (shard.first, shard.last))
        own_seed = tf.random.experimental.stateless_fold_in(seed, 1 + number)
        draws = Draws(own_seed, last - first, slice(own_first - first, own_last - first))
        piece = tf.reshape(images[own_first - shard.first : own_last - shard.first], [-1, SIDE, SIDE])
        corrupted = tf.clip_by_value(function(piece, strength, draws), 0.0, WHITE)
        pieces.append(tf.reshape(corrupted, [-1, PIXEL_COUNT]))
    rest = tf.clip_by_value(shard.n_rows // 2, shard.first, shard.last) - shard.first
    return tf.concat([*pieces, images[rest:]], axis=0)


def _noise(images: tf.Tensor, strength: float, draws: Draws) -> tf.Tensor:
    deviation = WHITE * strength * draws(1, 1)
    return images + deviation * draws(SIDE, SIDE, draw=tf.random.stateless_normal)


def _blur(images: tf.Tensor, strength: float, draws: Draws) -> tf.Tensor:
    means = tf.nn.avg_pool2d(images[..., None], 5, 1, "SAME")[..., 0]
    return images + strength * draws(1, 1) * (means - images)


def _haze(images: tf.Tensor, strength: float, draws: Draws) -> tf.Tensor:
    unevenness = draws(1, 1)
    clouds = tf.image.resize(draws(4, 4, 1), [SIDE, SIDE])[..., 0]
    return images + strength * draws(1, 1) * (1 - unevenness * clouds) * (WHITE - images)


def _occlusion(images: tf.Tensor, strength: float, draws: Draws) -> tf.Tensor:
    centre, half, grey = SIDE * draws(2, 1), SIDE / 2 * strength * draws(1), WHITE * draws(1, 1)
    is_inside = tf.abs(tf.range(SIDE, dtype=tf.float32) - centre[:, 0]) < half
    is_upright = draws(1, 1) < 0.5  # noqa: PLR2004, as often as not
    return tf.where(tf.where(is_upright, is_inside[:, None], is_inside[:, :, None]), grey, images)


CORRUPTIONS: dict[str, Callable[[tf.Tensor, float, Draws], tf.Tensor]] = {
    "noise": _noise,
    "blur": _blur,
    "haze": _haze,
    "occlusion": _occlusion,
}
"""Functions that corrupt images (rows × 28 × 28, from 0 to 255) up to the strength in the recipe's field."""


def _positions(shard: BatchShard, seed: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    """Draw the source position of each pixel of each group of a shard: groups × 28 × 28 × (y, x), in pixels."""
    # Every worker draws for the whole batch and takes its own groups, so that the draws don't depend on the workers.
    first, last, n_groups = ((rows + GROUP - 1) // GROUP for rows in (shard.first, shard.last, shard.n_rows))
    n_own = last - first
    seeds = tf.unstack(tf.random.split(seed, 2), num=2)
    # Uniform, so that they are bounded: a 6 that is rotated too far becomes a 9.
    draws = tf.unstack(tf.random.stateless_uniform([7, n_groups], seeds[0], -1.0, 1.0)[:, first:last], num=7)
    angle = draws[0] * math.radians(recipe.rotation)
    rotation = _matrices(tf.cos(angle), -tf.sin(angle), tf.sin(angle), tf.cos(angle))
    one, zero = tf.ones([n_own]), tf.zeros([n_own])
    stretch = _matrices(one + draws[1] * recipe.scaling, draws[2] * recipe.shear, zero, one + draws[3] * recipe.scaling)
    centre = (SIDE - 1) / 2
    axis = tf.range(SIDE, dtype=tf.float32) - centre
    grid = tf.stack(tf.meshgrid(axis, axis, indexing="ij"), axis=-1)
    affine = tf.einsum("gij,yxj->gyxi", tf.matmul(rotation, stretch), grid) + centre
    shift = tf.stack(draws[4:6], axis=-1)[:, None, None, :] * recipe.shift
    bumps = tf.random.stateless_normal([n_groups, CONTROL_POINTS, CONTROL_POINTS, 2], seeds[1])[first:last]
    return affine + shift + tf.image.resize(bumps * recipe.elastic, [SIDE, SIDE], "bicubic")


def _matrices(a: tf.Tensor, b: tf.Tensor, c: tf.Tensor, d: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tf.stack([a, b, c, d], axis=-1), [-1, 2, 2])


# XLA writes no intermediate results to memory: an epoch of `fast` takes 0.75 of the time, with the compilation no more.
@tf.function(jit_compile=True, autograph=False)
def _sample(pixels: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Interpolate linearly between the four pixels around each position; outside is background.

    `pixels` is (groups · 30 · 30) × 32, `positions` groups × 28 × 28 × 2, the result (groups · 784) × 32.
    """
    clipped = tf.clip_by_value(positions, -1.0, SIDE - 1e-3)
    corner = tf.floor(clipped)
    fraction = tf.reshape(clipped - corner, [-1, 2])
    down, right = fraction[:, :1], fraction[:, 1:]
    corner = tf.cast(corner, tf.int32) + 1
    first = tf.range(tf.shape(positions)[0])[:, None, None] * PADDED_SIDE**2
    row = tf.reshape(first + corner[..., 0] * PADDED_SIDE + corner[..., 1], [-1])
    above = _interpolate(tf.gather(pixels, row), tf.gather(pixels, row + 1), right)
    below = _interpolate(tf.gather(pixels, row + PADDED_SIDE), tf.gather(pixels, row + PADDED_SIDE + 1), right)
    return _interpolate(above, below, down)


def _interpolate(a: tf.Tensor, b: tf.Tensor, fraction: tf.Tensor) -> tf.Tensor:
    return a + fraction * (b - a)
