"""Slices of the test rows, such as the digits drawn with the thinnest strokes, and corrupted test images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # NumPy takes a tenth of a second, which `--help` would wait for
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Division:
    """A division of the test rows by one property: the names of its slices, and the number of each row's slice."""

    name: str
    slices: tuple[str, ...]
    numbers: NDArray[np.integer]


@dataclass(frozen=True)
class SliceMetrics:
    """A network's accuracy on the rows of one slice, with its 95 % interval."""

    division: str
    slice: str
    n_rows: int
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class CorruptedAnswers:
    """Whether a network's answers to corrupted images of some test rows are right: corruptions × rows."""

    names: tuple[str, ...]
    rows: NDArray[np.intp]
    right: NDArray[np.bool_]

    @property
    def accuracies(self) -> dict[str, float]:
        return dict(zip(self.names, self.right.mean(axis=1).tolist(), strict=True))
