"""Compute a network's probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from schemas.digits import CLASSES, SIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    from numpy.typing import NDArray

    from schemas.images import Images

BATCH = 2048


def predictor(network: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """Compile a network into a function from pixels (rows × 784, `uint8`) to probabilities (rows × 10)."""

    # No Python control flow to convert: AutoGraph would take 0.2 s to find that out.
    @tf.function(input_signature=[tf.TensorSpec([None, SIDE * SIDE], tf.uint8)], autograph=False)
    def predict(pixels: tf.Tensor) -> tf.Tensor:
        return network(tf.reshape(tf.cast(pixels, tf.float32), [-1, SIDE, SIDE]), training=False)

    return predict


def probabilities(predict: tf.types.experimental.PolymorphicFunction, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the probabilities of all rows, computed in batches to bound memory."""
    batches = [predict(pixels[start : start + BATCH]).numpy() for start in range(0, len(pixels), BATCH)]
    return np.concatenate(batches) if batches else np.empty((0, len(CLASSES)), np.float32)


def predict_in_pieces(
    predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]], images: Images
) -> NDArray[np.float32]:
    """Apply a function from pixels to probabilities to all images, which may be on disk, piece by piece."""
    return np.concatenate(
        [predict(images.read(piece)) for piece in images.pieces()] or [predict(images.read(slice(0, 0)))]
    )
