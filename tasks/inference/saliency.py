"""Attribute a network's answers to pixels, by integrated gradients."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from schemas.digits import CLASSES, SIDE
from schemas.images import Images
from schemas.results import Mistake

STEPS = 16
"""Points between an empty image and the image at which gradients are computed."""
BATCH = 256
LEAST = 1e-30
"""Probability at least, so that its logarithm is finite."""


def of_mistakes(network: keras.Model, mistakes: Sequence[Mistake], images: Images) -> NDArray[np.float32]:
    """Return how much each pixel of mistaken images speaks for the predicted digit and against the true one."""
    rows, labels, predicted = np.array([(one.row, one.label, one.predicted) for one in mistakes], np.intp).T
    return attributions(network, images.read(rows), predicted, labels)


def attributions(
    network: keras.Model, pixels: NDArray[np.uint8], answers: NDArray[np.integer], others: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Return how much each pixel speaks for an image's answer and against another digit: rows × 28 × 28, signed.

    The gradient of a ReLU network at an image is that of one linear piece only, and doesn't show what brought the image
    there. So gradients are averaged on the straight line from an empty image, and multiplied by the pixels
    (Sundararajan, Taly and Yan 2017, equation 3). What is explained are the log odds of the two digits, which don't
    saturate as probabilities do; an image's pixels add up to its log odds minus those of an empty image.
    """
    images = pixels.reshape(-1, SIDE, SIDE).astype(np.float32)
    shares = (np.arange(STEPS, dtype=np.float32) + 0.5) / STEPS  # the middles of the steps
    points = (shares[:, None, None, None] * images).reshape(-1, SIDE, SIDE).astype(np.float32, copy=False)
    one_hot = np.eye(len(CLASSES), dtype=np.float32)
    signs = np.tile(one_hot[answers] - one_hot[others], (STEPS, 1))
    gradients = [
        _gradient(network, points[start : start + BATCH], signs[start : start + BATCH])
        for start in range(0, len(points), BATCH)
    ]
    return np.asarray(images * np.concatenate(gradients).reshape(STEPS, *images.shape).mean(axis=0))


def _gradient(network: keras.Model, points: NDArray[np.float32], signs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the gradient of the log odds of each image's two digits, whose signs are 1 and -1, and 0 of others."""
    inputs = tf.constant(points)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        odds = tf.reduce_sum(signs * tf.math.log(tf.maximum(network(inputs, training=False), LEAST)))
    gradient: NDArray[np.float32] = tape.gradient(odds, inputs).numpy()
    return gradient
