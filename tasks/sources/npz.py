"""Read a dataset from an `.npz` file in Keras' layout: `x_train`, `y_train`, `x_test`, `y_test`."""

from __future__ import annotations

import zlib
from typing import IO, TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from schemas.digits import PIXEL_COUNT
from schemas.errors import InputError
from schemas.pixel_frame import labelled_frame

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def read(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the training and the test frame; raise InputError naming the array that doesn't fit."""
    try:
        with path.open("rb") as file, _opened(file) as archive:
            missing = [name for name in ARRAYS if name not in archive]
            if missing:
                raise InputError(f"{path}: no array {', '.join(missing)}; {', '.join(ARRAYS)} are needed")
            arrays = {name: archive[name] for name in ARRAYS}
    except (BadZipFile, zlib.error, NotImplementedError, ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}: not a readable .npz file ({error})") from error
    return _frame(path, arrays, "train"), _frame(path, arrays, "test")


def _opened(file: IO[bytes]) -> np.lib.npyio.NpzFile:
    archive = np.load(file, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError("a single array")  # noqa: TRY004, as NumPy tells of other content
    return archive


def _frame(path: Path, arrays: dict[str, np.ndarray], part: str) -> pd.DataFrame:
    pixels, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
    for name, array in ((f"x_{part}", pixels), (f"y_{part}", labels)):
        if array.dtype.kind not in "iu":
            raise InputError(f"{path}: {name} is {array.dtype}; whole numbers are needed")
        if array.size and (array.min() < 0 or array.max() > np.iinfo(np.uint8).max):
            raise InputError(f"{path}: {name} holds {array.min()} to {array.max()}; 0 to 255 are allowed")
    if labels.ndim != 1 or pixels.shape[:1] != labels.shape or pixels.size != len(labels) * PIXEL_COUNT:
        raise InputError(
            f"{path}: x_{part} is {pixels.shape} and y_{part} {labels.shape}; (rows, 28, 28) and (rows,) are needed"
        )
    return labelled_frame(pixels, labels)
