"""Labelled images: labels are in memory, pixels are read by row number. For images on disk: `tasks.sharding.images`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.pixel_frame import labels_of, pixels_of


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
        return InMemoryImages(self.pixels[indices], self.labels[indices])

    def pieces(self) -> Iterator[slice]:
        yield slice(0, len(self))


def of_frame(frame: pd.DataFrame) -> InMemoryImages:
    """Return a labelled pixel frame's images, without a copy."""
    return InMemoryImages(pixels_of(frame), labels_of(frame))
