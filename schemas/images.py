"""Labelled images, as training, evaluating and comparing read them: labels in memory, pixels by rows.

Of a source that is read whole they are one array. Of a sharded one they are staged: files of `uint8` on disk, of which
no more is in memory than was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from schemas.digits import PIXEL_COUNT
from schemas.errors import StoreError
from schemas.pixel_frame import labels_of, pixels_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

HEADER = 128
PIECE = 16_384
"""Rows of staged images that are read at a time where one row after another is wanted."""
NEAR = 32
"""Rows that may lie between two wanted ones for one read to take both: reading them is less than a second read."""
SPAN = 2048
"""Rows that one read takes at most, into a buffer that stays in a processor's cache."""


class Images(Protocol):
    """Labelled images in an order of their own."""

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Give all labels."""

    def __len__(self) -> int:
        """Count the images."""

    def read(self, wanted: slice | NDArray[np.integer], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Give the pixels of some images, by their numbers: rows × 784; in `out`, where that is given."""

    def take(self, wanted: NDArray[np.integer]) -> Images:
        """Give some of the images, by their numbers, in that order."""

    def pieces(self) -> Iterator[slice]:
        """Cut the images into consecutive pieces, each of which may be in memory at once."""


@dataclass(frozen=True, eq=False)
class InMemoryImages:
    """Images in one array (rows × 784), which may be part of a wider one."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        """Count the images."""
        return len(self.labels)

    def read(self, wanted: slice | NDArray[np.integer], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Give the pixels of some images, without a copy if they are a slice and may stay where they are."""
        if out is None:
            return self.pixels[wanted]
        out[:] = self.pixels[wanted]
        return out

    def take(self, wanted: NDArray[np.integer]) -> InMemoryImages:
        """Give some of the images, copied; all of them in their order without a copy."""
        if np.array_equal(wanted, np.arange(len(self))):
            return self
        return InMemoryImages(self.pixels[wanted], self.labels[wanted])

    def pieces(self) -> Iterator[slice]:
        """Give all images as one piece."""
        yield slice(0, len(self))


class File(Protocol):
    """A file that may have to be fetched."""

    def path(self) -> Path:
        """Give its path on this machine."""

    def absolute(self) -> File:
        """Give the same file, for a process with another working directory."""


class PixelFile(NamedTuple):
    """An `.npy` file of so many rows × 784, `uint8`, whose header takes 128 bytes."""

    file: File
    n_rows: int


@dataclass(frozen=True, eq=False)
class ShardedImages:
    """Images in files, one after another; `numbers` are those of the rows that are meant, in their order.

    Read, not mapped: what was read doesn't stay in the process, and a disk that fails is an error, not a signal.
    """

    files: Sequence[PixelFile]
    labels: NDArray[np.uint8]
    numbers: NDArray[np.integer]

    def __len__(self) -> int:
        """Count the images."""
        return len(self.labels)

    def read(self, wanted: slice | NDArray[np.integer], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Read the pixels of some images; neighbours in a file are read together."""
        numbers = self.numbers[wanted].astype(np.int64)
        read = np.empty((len(numbers), PIXEL_COUNT), np.uint8) if out is None else out
        ends = np.cumsum([file.n_rows for file in self.files])
        of_file = np.searchsorted(ends, numbers, side="right")
        for number in np.unique(of_file):
            places = np.flatnonzero(of_file == number)
            file = self.files[number]
            _read(file, numbers[places] - (ends[number] - file.n_rows), places, read)
        return read

    def take(self, wanted: NDArray[np.integer]) -> ShardedImages:
        """Give some of the images, without reading any."""
        return ShardedImages(self.files, self.labels[wanted], self.numbers[wanted])

    def pieces(self) -> Iterator[slice]:
        """Give pieces of 16,384 images."""
        return (slice(start, min(start + PIECE, len(self))) for start in range(0, len(self), PIECE))


def of_frame(frame: pd.DataFrame) -> InMemoryImages:
    """Give a labelled pixel frame's images, without a copy."""
    return InMemoryImages(pixels_of(frame), labels_of(frame))


def _read(file: PixelFile, rows: NDArray[np.int64], places: NDArray[np.intp], into: NDArray[np.uint8]) -> None:
    """Read some rows of a file into the places that they are wanted in."""
    steps = np.diff(rows)
    runs = np.flatnonzero((steps < 1) | (steps > NEAR) | (np.diff(rows // SPAN) != 0)) + 1
    buffer = np.empty((SPAN, PIXEL_COUNT), np.uint8)
    try:
        with file.file.path().open("rb", buffering=0) as stream:
            for start, stop in zip([0, *runs], [*runs, len(rows)], strict=True):
                first, last = int(rows[start]), int(rows[stop - 1]) + 1
                # Neighbours that stay neighbours need no buffer.
                straight = last - first == stop - start == places[stop - 1] + 1 - places[start]
                span = into[places[start] : places[start] + stop - start] if straight else buffer[: last - first]
                stream.seek(HEADER + first * PIXEL_COUNT)
                if stream.readinto(span.data) != span.size:
                    raise StoreError(
                        f"{file.file}: ends before row {last:,} of {file.n_rows:,}; a rerun stages it anew"
                    )
                if not straight:
                    into[places[start:stop]] = span[rows[start:stop] - first]
    except OSError as error:
        raise StoreError(
            f"{file.file}: can't be read ({error.strerror}); a rerun stages it anew where it isn't whole"
        ) from error
