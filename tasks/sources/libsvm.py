"""Read text of libsvm, as its site publishes MNIST: a label, and the number and value of each pixel that isn't 0."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from schemas.digits import PIXEL_COUNT
from schemas.errors import InputError, first_line
from schemas.rules import InputRules, Rules
from tasks.sources.files import check_expanded, reading
from tasks.sources.frames import Frames, images_to_frame

ROW_BYTES = PIXEL_COUNT * 8
MAX_PREDICTED_MIB = 4096
NOTE = "pixels are counted from 1, as libsvm does"


def read(path: Path, rules: Rules) -> Frames:
    """Read all rows of a file."""
    return Frames(_read(path, rules.max_expanded_mib), notes=(NOTE,))


def check(path: Path, _rules: InputRules) -> None:
    """Do nothing: a file that is recognised has labels."""


def batches(path: Path, _rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read a file at once; it is text, several times as large as its pixels."""
    frame = _read(path, MAX_PREDICTED_MIB)
    return (frame.iloc[start : start + n_rows] for start in range(0, len(frame), n_rows))


def _read(path: Path, max_mib: int) -> pd.DataFrame:
    from sklearn.datasets import load_svmlight_file

    with reading(path) as file:
        n_rows = sum(1 for _ in file)
    check_expanded(path, n_rows * ROW_BYTES, max_mib)
    try:
        with reading(path) as file:
            pixels, labels = load_svmlight_file(file, n_features=PIXEL_COUNT, zero_based=False)
    except (ValueError, OverflowError, IndexError) as error:
        raise InputError(f"{path}: not readable as libsvm's text of 784 pixels ({first_line(error)})") from error
    return images_to_frame(np.asarray(pixels.toarray()), np.asarray(labels))
