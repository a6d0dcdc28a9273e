"""Load networks, predict with them and measure their latency."""

from __future__ import annotations

import json
import math
import timeit
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from artifacts.files import new_file
from schemas.digits import CLASSES, SIDE
from schemas.errors import StoreError
from schemas.images import Images
from tasks.inference.predictor import predict_in_pieces, predictor

MAX_MIB = 1024
"""Size of a model's file in MiB up to which it is loaded."""
LATENCY_CALLS = 30
NEW_KEYS = ("quantization_config", "input_axes", "output_axes")
"""Keys that Keras 3.15 writes even without a value; Keras 3.14 and older refuse them."""


def save_network(network: keras.Model, path: Path) -> None:
    """Save a network so that older releases of Keras load it, too; the same network gives the same bytes."""
    network.save(path)
    with zipfile.ZipFile(path) as saved:
        members = {name: saved.read(name) for name in saved.namelist()}
    for name in ("config.json", "metadata.json"):
        members[name] = json.dumps(json.loads(members[name], object_hook=_portable)).encode()
    with new_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # ZipInfo's default date


def _portable(item: dict[str, Any]) -> dict[str, Any]:
    """Leave out new keys without a value, the date, and memory addresses."""
    changing = ("date_saved", "shared_object_id")
    return {
        key: value for key, value in item.items() if key not in changing and (value is not None or key not in NEW_KEYS)
    }


def load_network(path: Path) -> keras.Model:
    """Load a saved network without executing code from its file.

    Raises StoreError if it can't be loaded safely, would take more memory than its file, or its input isn't 28 × 28
    pixels and its output ten numbers.
    """
    try:
        _check_size(path)
        network = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file makes Keras raise many kinds of error
        raise StoreError(f"{path}: not a model that can be loaded safely ({str(error).splitlines()[0]})") from error
    if network.input_shape != (None, SIDE, SIDE) or network.output_shape != (None, len(CLASSES)):
        raise StoreError(
            f"{path}: the model's shapes are {network.input_shape} and {network.output_shape}; expected 28 × 28 pixels "
            "and 10 probabilities"
        )
    return network


def _check_size(path: Path) -> None:
    """Raise ValueError for a file whose content takes more memory than its size: a line can declare gigabytes."""
    n_bytes = path.stat().st_size
    if n_bytes > MAX_MIB << 20:
        raise ValueError(f"{n_bytes >> 20:,} MiB; up to {MAX_MIB:,} are loaded")
    with zipfile.ZipFile(path) as archive:
        _check_declared(sum(member.file_size for member in archive.infolist()), "bytes", n_bytes)
        config = json.loads(archive.read("config.json"))
    with ThreadPoolExecutor(1) as pool:  # Keras forgets a thread's variables with it
        _check_declared(pool.submit(_count_weights, config).result(), "weights", n_bytes)


def _check_declared(declared: int, unit: str, n_bytes: int) -> None:
    if declared > n_bytes:
        raise ValueError(f"it declares {declared:,} {unit}, more than its {n_bytes:,} bytes can hold")


def _count_weights(config: dict[str, Any]) -> int:
    """Count the weights of a network without allocating any."""
    with keras.StatelessScope(initialize_variables=False):
        network = keras.saving.deserialize_keras_object(config, safe_mode=True)
    return sum(math.prod(weight.shape) for weight in network.weights)


def predict_images(network: keras.Model, images: Images) -> NDArray[np.float32]:
    """Return a network's probabilities for all images, rows × 10."""
    return predict_in_pieces(predictor(network), images)


def latency_ms(network: keras.Model, image: NDArray[np.uint8]) -> float:
    """Return the median time that a prediction of one image (1 × 784) takes."""
    predict = predictor(network)
    predict(image)
    return 1000 * median(timeit.repeat(lambda: predict(image), number=1, repeat=LATENCY_CALLS))
