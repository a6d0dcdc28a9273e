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
LEAST = 1e-30
"""Probability at least, so that its logarithm is finite."""


def of_mistakes(network: keras.Model, mistakes: Sequence[Mistake], images: Images) -> NDArray[np.float32]:
    """Return how much each pixel speaks for the predicted digit and against the true one: rows × 28 × 28, signed.

    The gradient of a ReLU network at an image is that of one linear piece only, and doesn't show what brought the image
    there. So gradients are averaged on the straight line from an empty image, and multiplied by the pixels
    (Sundararajan, Taly and Yan 2017, equation 3). What is explained are the log odds of the two digits, which don't
    saturate as probabilities do; an image's pixels add up to its log odds minus those of an empty image.
    """
    rows, labels, predicted = np.array([(one.row, one.label, one.predicted) for one in mistakes], np.intp).T
    pixels = images.read(rows).reshape(-1, SIDE, SIDE).astype(np.float32)
    shares = (np.arange(STEPS, dtype=np.float32) + 0.5) / STEPS  # the middles of the steps
    points = tf.constant((shares[:, None, None, None] * pixels).reshape(-1, SIDE, SIDE))
    one_hot = np.eye(len(CLASSES), dtype=np.float32)
    signs = np.tile(one_hot[predicted] - one_hot[labels], (STEPS, 1))
    with tf.GradientTape() as tape:
        tape.watch(points)
        log_odds = tf.reduce_sum(signs * tf.math.log(tf.maximum(network(points, training=False), LEAST)))
    gradients = tape.gradient(log_odds, points).numpy()
    return np.asarray(pixels * gradients.reshape(STEPS, *pixels.shape).mean(axis=0))
