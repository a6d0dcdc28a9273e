"""Convert a version's model, in a process of its own: `python -m tasks.exporting.convert MODEL FOLDER FORMAT…`.

The converters of TensorFlow are C++ that can end the process, and change settings of other libraries. FOLDER has the
images. The answers of `model.keras` are written into it, and a folder for each format, or a file with the reason why it
can't be converted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.errors import first_line
from tasks.exporting.answer import write_answers
from tasks.exporting.formats import FORMATS, INPUT, OUTPUT
from tasks.inference.start_up import import_tensorflow

if TYPE_CHECKING:
    import keras

TEST, CALIBRATION, EXPECTED, FAULT_SUFFIX = "test.npy", "calibration.npy", "expected.npy", ".fault"


def main(model: str, folder: Path, *names: str) -> None:
    """Write the answers and the exports, all that can be made."""
    import_tensorflow()
    from tasks.inference.model import load_network
    from tasks.inference.predictor import predictor

    network = load_network(Path(model))
    predict = predictor(network)  # of the predict flow: exports have to agree with it
    write_answers(lambda pixels: predict(pixels.reshape(-1, PIXEL_COUNT)), folder / TEST, folder / EXPECTED)
    with_input, calibration = _with_uint8_input(network), np.load(folder / CALIBRATION)
    for name, spec in FORMATS.items():
        if name in names:
            try:
                (folder / name).mkdir()
                spec.convert(with_input, folder / name / spec.file, calibration)
            except Exception as error:  # noqa: BLE001, converters raise many kinds of error; others may still succeed
                (folder / f"{name}{FAULT_SUFFIX}").write_text(f"can't be converted ({first_line(error)})", "utf-8")


def _with_uint8_input(network: keras.Model) -> keras.Model:
    """Return the network for images as bytes; its input and output have names that all formats keep."""
    import keras

    pixels = keras.Input((SIDE, SIDE), dtype="uint8", name=INPUT)
    return keras.Model(pixels, {OUTPUT: network(keras.ops.cast(pixels, "float32"))}, name="digits")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
