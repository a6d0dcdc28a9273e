"""Ask a network for its probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from schemas.digits import SIDE

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

BATCH = 2048


def predictor(network: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """Compile a network's answer to pixels (rows × 784, `uint8`): probabilities, rows × 10."""

    @tf.function(input_signature=[tf.TensorSpec([None, SIDE * SIDE], tf.uint8)])
    def predict(pixels: tf.Tensor) -> tf.Tensor:
        return network(tf.reshape(tf.cast(pixels, tf.float32), [-1, SIDE, SIDE]), training=False)

    return predict


def probabilities(predict: tf.types.experimental.PolymorphicFunction, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Give the probabilities of all rows, batch by batch, so that memory stays bounded."""
    batches = [predict(pixels[start : start + BATCH]).numpy() for start in range(0, len(pixels), BATCH)]
    return np.concatenate(batches) if batches else np.empty((0, 10), np.float32)
