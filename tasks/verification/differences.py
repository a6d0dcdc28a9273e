"""Compare what a card says with what was found."""

from __future__ import annotations

import math
from typing import Any

TOLERANCE = 1e-6
"""Of a float: another machine may round the last digits another way."""


def differences(said: Any, found: Any, where: str) -> list[str]:  # noqa: ANN401, whatever JSON holds
    """Name every figure in which two pieces of JSON differ, as `figures.recall.4 is 0.98, the card says 0.99`."""
    if isinstance(said, dict) and isinstance(found, dict):
        keys = sorted({*said, *found})
        return [line for key in keys for line in differences(said.get(key), found.get(key), f"{where}.{key}")]
    if isinstance(said, list) and isinstance(found, list) and len(said) == len(found):
        pairs = enumerate(zip(said, found, strict=True))
        return [line for number, (a, b) in pairs for line in differences(a, b, f"{where}[{number}]")]
    if isinstance(said, float) and isinstance(found, float):
        same = math.isclose(said, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    else:
        same = said == found
    return [] if same else [f"{where} is {found}, the card says {said}"]
