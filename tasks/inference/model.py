"""Ask a network for its probabilities."""

from __future__ import annotations

import time
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from artifacts.store.store import MODEL
from schemas.digits import CLASSES, SIDE
from schemas.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import keras
    from numpy.typing import NDArray

    from artifacts.store.store import Store
    from schemas.images import Images

BATCH = 2048
LATENCY_CALLS = 30
ROUNDING = 1e-3


def load(path: Path) -> keras.Model:
    """Load a saved network, safely: no code of the file's own is run. Raises StoreError if it isn't one of ours."""
    import keras

    try:
        network = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever a damaged file leads it to
        raise StoreError(f"{path}: not a model that can be loaded safely ({str(error).splitlines()[0]})") from error
    if network.input_shape != (None, SIDE, SIDE) or network.output_shape != (None, len(CLASSES)):
        raise StoreError(
            f"{path}: takes {network.input_shape} and gives {network.output_shape}; 28 × 28 and 10 are needed"
        )
    return network


def of_version(store: Store, version: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Give what a version answers to pixels (rows × 784): probabilities, rows × 10.

    Raises StoreError when it isn't what it was when it was published, or can't be loaded.
    """
    folder = store.verified_dir(version)
    ask = partial(probabilities, predictor(load(folder / MODEL)))
    total = float(ask(np.zeros((1, SIDE * SIDE), np.uint8)).sum())
    if abs(total - 1) > ROUNDING:
        raise StoreError(f"version {version}: its model gives no probabilities, they add up to {total:.3g}")
    return ask


def latency_ms(network: keras.Model, image: NDArray[np.uint8]) -> float:
    """Give the median time that one image (1 × 784) takes, in milliseconds."""
    predict = predictor(network)
    predict(image)
    seconds = []
    for _ in range(LATENCY_CALLS):
        started = time.perf_counter()
        predict(image).numpy()
        seconds.append(time.perf_counter() - started)
    return 1000 * median(seconds)


def predictor(network: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """Compile a network's answer to pixels (rows × 784, `uint8`): probabilities, rows × 10."""

    # There is no Python in it for AutoGraph to convert, which would take 0.2 s to find that out.
    @tf.function(input_signature=[tf.TensorSpec([None, SIDE * SIDE], tf.uint8)], autograph=False)
    def predict(pixels: tf.Tensor) -> tf.Tensor:
        return network(tf.reshape(tf.cast(pixels, tf.float32), [-1, SIDE, SIDE]), training=False)

    return predict


def probabilities(predict: tf.types.experimental.PolymorphicFunction, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Give the probabilities of all rows, batch by batch, so that memory stays bounded."""
    batches = [predict(pixels[start : start + BATCH]).numpy() for start in range(0, len(pixels), BATCH)]
    return np.concatenate(batches) if batches else np.empty((0, 10), np.float32)


def answers(network: keras.Model, images: Images) -> NDArray[np.float32]:
    """Give a network's probabilities for all images, rows × 10, piece by piece."""
    return of_all(partial(probabilities, predictor(network)), images)


def of_all(ask: Callable[[NDArray[np.uint8]], NDArray[np.float32]], images: Images) -> NDArray[np.float32]:
    """Ask about all images piece by piece."""
    return np.concatenate([ask(images.read(piece)) for piece in images.pieces()] or [ask(images.read(slice(0, 0)))])
