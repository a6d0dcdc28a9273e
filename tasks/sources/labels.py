"""Convert labels that are text to numbers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from schemas.errors import InputError

QUOTES = "'\" "
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def parse_labels(texts: Iterable[object], where: str) -> NDArray[np.float64]:
    """Convert labels such as `5`, `'5'`, `5.0` or `five`, and None to NaN.

    Raises InputError, with `where` at its beginning, for others.
    """
    texts = list(texts)
    numbers = {text: parse_label(text) for text in set(texts)}
    if unknown := [text for text in texts if numbers[text] is None]:
        raise InputError(f"{where}: expected a number from 0 to 9 as a label, got {_decode(unknown[0])[:40]!r}")
    return np.array([numbers[text] for text in texts], np.float64)


def parse_label(value: object) -> float | None:
    """Return a label's number, NaN for a missing one; None if it is another text than of a digit."""
    text = "nan" if value is None else _decode(value).strip(QUOTES)
    try:
        return float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return float(WORDS.index(text.lower())) if text.lower() in WORDS else None


def _decode(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
