"""Load a version's network, as matrices where it has dense layers only: without TensorFlow, in a tenth of the time."""

from __future__ import annotations

import io
import json
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from artifacts.store.store import MODEL
from schemas.digits import CLASSES, PIXEL_COUNT, SIDE
from schemas.errors import StoreError
from schemas.pixel_frame import blocks
from tasks.validation.threads import map_in_threads

if TYPE_CHECKING:
    from tasks.inference.predictor import Predict

ROUNDING = 1e-3
ACTIVATIONS = {"linear", "relu", "softmax"}
MAX_BYTES = 64 << 20
"""Size of a model's file up to which it is read as matrices."""


class Layer(NamedTuple):
    """A dense layer: its matrix, its bias, and the name of its activation."""

    matrix: NDArray[np.float32]
    bias: NDArray[np.float32]
    activation: str


def load_version(folder: Path, version: int) -> Predict:
    """Load the model in a version's verified folder.

    Raises StoreError if it can't be loaded, or its outputs aren't probabilities.
    """
    layers = read_dense_layers(folder / MODEL)
    if layers:
        predict = dense_predictor(layers)
    else:
        from tasks.inference import start_up

        start_up.import_tensorflow()
        from tasks.inference import model
        from tasks.inference.predictor import predictor

        predict = predictor(model.load_network(folder / MODEL))
    total = float(predict(np.zeros((1, PIXEL_COUNT), np.uint8)).sum())
    if not abs(total - 1) <= ROUNDING:
        raise StoreError(f"version {version}: its model's outputs aren't probabilities, they add up to {total:.3g}")
    return predict


def dense_predictor(layers: list[Layer]) -> Predict:
    """Return a function that predicts by matrix products, in blocks to bound memory."""

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        outputs = np.empty((len(pixels), len(CLASSES)), np.float32)

        def predict_block(block: slice) -> None:
            values = pixels[block].astype(np.float32)
            for layer in layers:
                values = values @ layer.matrix
                values += layer.bias
                _activate(values, layer.activation)
            outputs[block] = values

        if len(pixels):
            map_in_threads(predict_block, blocks(len(pixels)))
        return outputs

    return predict


def _activate(values: NDArray[np.float32], activation: str) -> None:
    if activation == "relu":
        np.maximum(values, 0, out=values)
    elif activation == "softmax":
        values -= values.max(axis=1, keepdims=True)
        np.exp(values, out=values)
        values /= values.sum(axis=1, keepdims=True)


def read_dense_layers(path: Path) -> list[Layer]:
    """Read a saved network of a rescaling, a flattening and dense layers; return [] for any other, and damaged files.

    Keras loads the others, or reports why it can't.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            n_bytes = sum(member.file_size for member in archive.infolist())
            if n_bytes > min(path.stat().st_size, MAX_BYTES):  # it expands
                return []
            rescaling, activations = _parse(json.loads(archive.read("config.json")))
            weights = archive.read("model.weights.h5")
        names = [f"dense_{number}" if number else "dense" for number in range(len(activations))]
        with h5py.File(io.BytesIO(weights)) as file:
            layers = [Layer(*_read_weights(file, name), how) for name, how in zip(names, activations, strict=True)]
        return _rescaled(layers, **rescaling)
    except Exception:  # noqa: BLE001, a damaged file makes h5py and zipfile raise many kinds of error
        return []


def _parse(config: dict[str, Any]) -> tuple[dict[str, float], list[str]]:
    """Return the rescaling and the activations of the dense layers; raise ValueError for another network."""
    layers = config["config"]["layers"]
    first, rescaling, _flatten, *dense = layers
    classes = ["InputLayer", "Rescaling", "Flatten", *["Dense"] * len(dense)]
    _require(config["class_name"] == "Sequential" and [layer["class_name"] for layer in layers] == classes)
    _require(all(layer["module"] == "keras.layers" and layer["registered_name"] is None for layer in layers))
    _require(all(_dtype(layer["config"]["dtype"]) == "float32" for layer in layers))
    _require(first["config"]["batch_shape"] == [None, SIDE, SIDE])
    _require(all(layer["config"]["use_bias"] and layer["config"]["activation"] in ACTIVATIONS for layer in dense))
    return (
        {name: float(rescaling["config"][name]) for name in ("scale", "offset")},
        [layer["config"]["activation"] for layer in dense],
    )


def _dtype(dtype: str | dict[str, Any]) -> str:
    return dtype if isinstance(dtype, str) else str(dtype["config"]["name"])


def _read_weights(file: h5py.File, layer: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read a layer's matrix and bias; raise ValueError for what may be elsewhere, or larger than the file.

    From a file in memory, h5py follows no links to others.
    """
    group = file["layers"][layer]["vars"]
    datasets = [group["0"], group["1"]]
    _require(len(group) == len(datasets))
    for dataset in datasets:
        _require(dataset.dtype == np.float32 and dataset.external is None)
        _require(dataset.nbytes == dataset.id.get_storage_size())  # less if it is compressed, or assembled from others
    return datasets[0][()], datasets[1][()]


def _rescaled(layers: list[Layer], scale: float, offset: float) -> list[Layer]:
    """Make the first layer rescale, too; raise ValueError unless the layers fit together."""
    widths = [PIXEL_COUNT, *(len(layer.bias) for layer in layers)]
    _require([layer.matrix.shape for layer in layers] == list(pairwise(widths)) and widths[-1] == len(CLASSES))
    matrix, bias, activation = layers[0]
    scaled = Layer(matrix * np.float32(scale), bias + np.float32(offset) * matrix.sum(axis=0), activation)
    return [scaled, *layers[1:]]


def _require(condition: bool) -> None:  # noqa: FBT001, it is the only argument
    if not condition:
        raise ValueError
