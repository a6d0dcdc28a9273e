"""Random deformation of digits inside the training graph: a small affine map and an elastic one.

A group of images shares one deformation, drawn anew each time: the work a pixel is then a gather of whole rows, far
cheaper than to deform each image by itself. The groups are other ones in every epoch, because the order is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import tensorflow as tf

from schemas.digits import PIXEL_COUNT, SIDE
from tasks.training.worker import GROUP

if TYPE_CHECKING:
    from schemas.recipe import Recipe
    from tasks.training.worker import BatchShard

CONTROL_POINTS = 7
PADDED_SIDE = SIDE + 2  # a ring of ground, so that an edge pixel has all its neighbours


def deform(images: tf.Tensor, seed: tf.Tensor, recipe: Recipe, portion: BatchShard) -> tf.Tensor:
    """Deform images (rows × 784, float), a portion of a batch, at random; shape, range and type stay.

    `seed` is a stateless seed, two integers, that of the whole batch. After Simard, Steinkraus and Platt 2003, with a
    field interpolated from 7 × 7 random points in place of a Gaussian filter.
    """
    rows = tf.shape(images)[0]
    groups = (rows + GROUP - 1) // GROUP
    whole = tf.pad(images, [[0, groups * GROUP - rows], [0, 0]])
    # The images of a group side by side, so that one pixel of all of them is one run of memory.
    by_pixel = tf.transpose(tf.reshape(whole, [groups, GROUP, PIXEL_COUNT]), [0, 2, 1])
    framed = tf.pad(tf.reshape(by_pixel, [groups, SIDE, SIDE, GROUP]), [[0, 0], [1, 1], [1, 1], [0, 0]])
    deformed = _sample(tf.reshape(framed, [groups * PADDED_SIDE**2, GROUP]), _positions(portion, seed, recipe))
    by_image = tf.transpose(tf.reshape(deformed, [groups, PIXEL_COUNT, GROUP]), [0, 2, 1])
    return tf.reshape(by_image, [groups * GROUP, PIXEL_COUNT])[:rows]


def _positions(portion: BatchShard, seed: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    """Draw where each pixel of each group of a portion comes from: groups × 28 × 28 × (y, x), in pixels."""
    first, last, all_groups = ((rows + GROUP - 1) // GROUP for rows in portion[:3])
    groups = last - first
    seeds = tf.unstack(tf.random.split(seed, 2), num=2)
    # Uniform and thus bounded: a 6 that was turned far enough would be a 9.
    draws = tf.unstack(tf.random.stateless_uniform([7, all_groups], seeds[0], -1.0, 1.0)[:, first:last], num=7)
    angle = draws[0] * math.radians(recipe.rotation)
    rotation = _matrices(tf.cos(angle), -tf.sin(angle), tf.sin(angle), tf.cos(angle))
    one, none = tf.ones([groups]), tf.zeros([groups])
    stretch = _matrices(one + draws[1] * recipe.scaling, draws[2] * recipe.shear, none, one + draws[3] * recipe.scaling)
    centre = (SIDE - 1) / 2
    axis = tf.range(SIDE, dtype=tf.float32) - centre
    grid = tf.stack(tf.meshgrid(axis, axis, indexing="ij"), axis=-1)
    affine = tf.einsum("gij,yxj->gyxi", tf.matmul(rotation, stretch), grid) + centre
    shift = tf.stack(draws[4:6], axis=-1)[:, None, None, :] * recipe.shift
    bumps = tf.random.stateless_normal([all_groups, CONTROL_POINTS, CONTROL_POINTS, 2], seeds[1])[first:last]
    return affine + shift + tf.image.resize(bumps * recipe.elastic, [SIDE, SIDE], "bicubic")


def _matrices(a: tf.Tensor, b: tf.Tensor, c: tf.Tensor, d: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tf.stack([a, b, c, d], axis=-1), [-1, 2, 2])


def _sample(pixels: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Interpolate linearly between the four pixels round each position; outside is ground.

    `pixels` is (groups · 30 · 30) × 32, `positions` groups × 28 × 28 × 2; the result (groups · 784) × 32.
    """
    inside = tf.clip_by_value(positions, -1.0, SIDE - 1e-3)
    corner = tf.floor(inside)
    share = tf.reshape(inside - corner, [-1, 2])
    down, right = share[:, :1], share[:, 1:]
    corner = tf.cast(corner, tf.int32) + 1
    first = tf.range(tf.shape(positions)[0])[:, None, None] * PADDED_SIDE**2
    row = tf.reshape(first + corner[..., 0] * PADDED_SIDE + corner[..., 1], [-1])
    above = _between(tf.gather(pixels, row), tf.gather(pixels, row + 1), right)
    below = _between(tf.gather(pixels, row + PADDED_SIDE), tf.gather(pixels, row + PADDED_SIDE + 1), right)
    return _between(above, below, down)


def _between(a: tf.Tensor, b: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    return a + share * (b - a)
