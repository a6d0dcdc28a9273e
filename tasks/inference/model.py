"""Load networks, predict with them and measure their latency."""

from __future__ import annotations

import timeit
from pathlib import Path
from statistics import median

import keras
import numpy as np
from numpy.typing import NDArray

from artifacts.store.store import MODEL
from schemas.digits import CLASSES, PIXEL_COUNT, SIDE
from schemas.errors import StoreError
from schemas.images import Images
from tasks.inference.predictor import Predict, predict_in_pieces, predictor

LATENCY_CALLS = 30
ROUNDING = 1e-3


def load_network(path: Path) -> keras.Model:
    """Load a saved network without executing code from its file.

    Raises StoreError if it can't be loaded safely, or its input isn't 28 × 28 pixels and its output ten numbers.
    """
    try:
        network = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file makes Keras raise many kinds of error
        raise StoreError(f"{path}: not a model that can be loaded safely ({str(error).splitlines()[0]})") from error
    if network.input_shape != (None, SIDE, SIDE) or network.output_shape != (None, len(CLASSES)):
        raise StoreError(
            f"{path}: the model's shapes are {network.input_shape} and {network.output_shape}; expected 28 × 28 pixels "
            "and 10 probabilities"
        )
    return network


def load_version(folder: Path, version: int) -> Predict:
    """Load the model in a version's verified folder.

    Raises StoreError if it can't be loaded, or its outputs aren't probabilities.
    """
    predict = predictor(load_network(folder / MODEL))
    total = float(predict(np.zeros((1, PIXEL_COUNT), np.uint8)).sum())
    if abs(total - 1) > ROUNDING:
        raise StoreError(f"version {version}: its model's outputs aren't probabilities, they add up to {total:.3g}")
    return predict


def predict_images(network: keras.Model, images: Images) -> NDArray[np.float32]:
    """Return a network's probabilities for all images, rows × 10."""
    return predict_in_pieces(predictor(network), images)


def latency_ms(network: keras.Model, image: NDArray[np.uint8]) -> float:
    """Return the median time that a prediction of one image (1 × 784) takes."""
    predict = predictor(network)
    predict(image)
    return 1000 * median(timeit.repeat(lambda: predict(image), number=1, repeat=LATENCY_CALLS))
