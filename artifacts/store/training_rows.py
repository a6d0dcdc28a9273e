"""Write and read the digests of the images that a version was trained on, 8 bytes each, as an `.npy` file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NAME = "training_rows.npy"


def write(folder: Path, digests: NDArray[np.uint64]) -> None:
    """Write the digests into a version's folder."""
    np.save(folder / NAME, digests, allow_pickle=False)


def read(folder: Path) -> NDArray[np.uint64]:
    """Read a version's digests; none if an earlier release made it."""
    path = folder / NAME
    return np.load(path, allow_pickle=False) if path.exists() else np.empty(0, np.uint64)
