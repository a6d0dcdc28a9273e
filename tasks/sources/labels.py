"""Convert labels that are text to numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from schemas.errors import InputError

QUOTES = "'\" "


def parse_labels(texts: NDArray[np.generic], where: str) -> NDArray[np.float64]:
    """Convert labels such as `5`, `'5'` or `5.0`; raise InputError, with `where` at its beginning, for others."""
    values, positions = np.unique(texts, return_inverse=True)
    numbers = np.array([_parse_label(value, where) for value in values.tolist()], np.float64)
    return numbers[positions].reshape(texts.shape)


def _parse_label(value: str | bytes, where: str) -> float:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    try:
        if text.isascii() and "_" not in text:
            return float(text.strip(QUOTES))
    except ValueError:
        pass
    raise InputError(f"{where}: expected a number from 0 to 9 as a label, got {text[:40]!r}")
