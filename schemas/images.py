"""Labelled images: labels are in memory, pixels are read by row number. For images on disk: `tasks.sharding.images`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.digits import PIXEL_COUNT
from schemas.pixel_frame import labels_of, pixels_of

ALIGNMENT = 64
"""Bytes. TensorFlow shares memory that is aligned to this, instead of copying it."""


class Images(Protocol):
    """A sequence of labelled images."""

    @property
    def labels(self) -> NDArray[np.uint8]: ...

    def __len__(self) -> int: ...

    def read(self, indices: slice | NDArray[np.integer], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Return the pixels of the images at these indices, rows × 784; in `out`, if given."""

    def take(self, indices: NDArray[np.integer]) -> Images:
        """Return the images at these indices, in this order."""

    def pieces(self) -> Iterator[slice]:
        """Yield consecutive slices of the images, each of which fits in memory."""


@dataclass(frozen=True, eq=False)
class InMemoryImages:
    """Images in one array (rows × 784), which may be a view of a wider one."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, indices: slice | NDArray[np.integer], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        if out is None:
            return self.pixels[indices]
        out[:] = self.pixels[indices]
        return out

    def take(self, indices: NDArray[np.integer]) -> InMemoryImages:
        """Return a copy of the images at these indices; self if they are all images in order."""
        if np.array_equal(indices, np.arange(len(self))):
            return self
        pixels = self.read(indices, out=aligned(len(indices)))
        return InMemoryImages(pixels, self.labels[indices])

    def pieces(self) -> Iterator[slice]:
        yield slice(0, len(self))


def of_frame(frame: pd.DataFrame) -> InMemoryImages:
    """Return a labelled pixel frame's images, without a copy."""
    return InMemoryImages(pixels_of(frame), labels_of(frame))


def aligned(n_rows: int) -> NDArray[np.uint8]:
    """Return an array for the pixels of n rows whose memory can be shared with TensorFlow."""
    raw = np.empty(n_rows * PIXEL_COUNT + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + n_rows * PIXEL_COUNT].reshape(n_rows, PIXEL_COUNT)
