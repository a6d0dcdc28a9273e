"""The formats that a version can be exported in: how Keras writes each, and how its own runtime opens it.

To add a format, add its name to `schemas.exports.ExportFormat`, and an entry here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from schemas.digits import SIDE
from schemas.errors import missing_extra
from schemas.exports import ExportFormat

if TYPE_CHECKING:  # NumPy takes a tenth of a second, which `--help` would wait for
    import keras
    import numpy as np
    from numpy.typing import NDArray

INPUT, OUTPUT = "pixels", "probabilities"
Pixels: TypeAlias = "NDArray[np.uint8]"
Probabilities: TypeAlias = "NDArray[np.float32]"
Answer = Callable[["Pixels"], "Probabilities"]
"""From pixels, rows × 28 × 28, to probabilities, rows × 10."""


class Format(NamedTuple):
    """An export format. `convert` gets the network, the path to write, and training images for calibration.

    `open` is called in a process that can't import TensorFlow, unless the format `needs_tensorflow`.
    """

    file: str
    packages: Sequence[str]
    convert: Callable[[keras.Model, Path, Pixels], None]
    open: Callable[[Path], Answer]
    needs_tensorflow: bool = False
    is_quantized: bool = False


def check(formats: Iterable[ExportFormat]) -> None:
    """Raise InputError if a package that a format needs isn't installed."""
    for name in formats:
        for package in FORMATS[name].packages:
            if importlib.util.find_spec(package) is None:
                raise missing_extra(f"--export {name}", package.replace("_", "-"))


def _to_onnx(network: keras.Model, path: Path, _calibration: Pixels) -> None:
    import tensorflow as tf

    signature = [tf.TensorSpec((None, SIDE, SIDE), tf.uint8, name=INPUT)]
    network.export(path, format="onnx", verbose=False, input_signature=signature)


def _open_onnx(path: Path) -> Answer:
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def answer(pixels: Pixels) -> Probabilities:
        (probabilities,) = session.run([OUTPUT], {INPUT: pixels})
        return np.asarray(probabilities)

    return answer


def _to_litert(network: keras.Model, path: Path, _calibration: Pixels, **options: Any) -> None:  # noqa: ANN401
    import tensorflow as tf

    # Keras would allow flex ops, which need a build of the runtime that phones don't have.
    builtins = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    network.export(path, format="litert", verbose=False, target_spec=builtins, **options)


def _to_int8(network: keras.Model, path: Path, calibration: Pixels) -> None:
    import tensorflow as tf

    examples = calibration[:, None]
    _to_litert(
        network,
        path,
        calibration,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([pixels] for pixels in examples),
    )


def _open_litert(path: Path) -> Answer:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(path)).get_signature_runner()
    return lambda pixels: np.asarray(run(**{INPUT: pixels})[OUTPUT])


def _to_savedmodel(network: keras.Model, path: Path, _calibration: Pixels) -> None:
    network.export(path, format="tf_saved_model", verbose=False)


def _open_savedmodel(path: Path) -> Answer:
    import numpy as np
    import tensorflow as tf

    model = tf.saved_model.load(path)  # `serve` lives as long as the model
    return lambda pixels: np.asarray(model.serve(pixels)[OUTPUT])


FORMATS: dict[ExportFormat, Format] = {
    "onnx": Format("digits.onnx", ("onnx", "tf2onnx", "onnxruntime"), _to_onnx, _open_onnx),
    "litert": Format("digits.tflite", ("ai_edge_litert",), _to_litert, _open_litert),
    "litert-int8": Format("digits-int8.tflite", ("ai_edge_litert",), _to_int8, _open_litert, is_quantized=True),
    "savedmodel": Format("", (), _to_savedmodel, _open_savedmodel, needs_tensorflow=True),
}
