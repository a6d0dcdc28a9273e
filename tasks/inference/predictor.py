"""Compile a network into a function that predicts probabilities."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from schemas.digits import CLASSES, SIDE
from schemas.images import Images

BATCH = 2048
Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From pixels (rows × 784) to probabilities (rows × 10)."""


def predictor(network: keras.Model) -> Predict:
    """Compile a network into a function that predicts in batches, to bound memory."""

    # There is no Python control flow to convert, and AutoGraph takes 0.2 s to find that out.
    @tf.function(input_signature=[tf.TensorSpec([None, SIDE * SIDE], tf.uint8)], autograph=False)
    def compiled(pixels: tf.Tensor) -> tf.Tensor:
        return network(tf.reshape(tf.cast(pixels, tf.float32), [-1, SIDE, SIDE]), training=False)

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        batches = [compiled(pixels[start : start + BATCH]).numpy() for start in range(0, len(pixels), BATCH)]
        return np.concatenate(batches) if batches else np.empty((0, len(CLASSES)), np.float32)

    return predict


def predict_in_pieces(predict: Predict, images: Images) -> NDArray[np.float32]:
    """Return the probabilities of all images, which may be on disk, piece by piece."""
    pieces = list(images.pieces()) or [slice(0, 0)]
    return np.concatenate([predict(images.read(piece)) for piece in pieces])
