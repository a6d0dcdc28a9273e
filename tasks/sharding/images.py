"""Images in files on disk; only requested rows are read into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.digits import PIXEL_COUNT
from schemas.errors import StoreError
from schemas.pixel_frame import blocks

if TYPE_CHECKING:  # the training code imports this module, and its fingerprint must not depend on the store's code
    from artifacts.store.storage import Storage

HEADER_BYTES = 128
PIECE_ROWS = 16_384
"""Rows per piece where all images are read in order."""
MAX_GAP = 32
"""Rows with a distance of at most this are read together, with the rows between them: faster than two reads."""
MAX_READ_ROWS = 2048
"""Maximum rows of one read, so that the buffer stays in the processor's cache."""


class PixelFile(NamedTuple):
    """An `.npy` file of `n_rows` × 784 `uint8`, whose header takes 128 bytes, in the folder `key` of a storage."""

    storage: Storage
    key: str
    name: str
    n_rows: int

    def __str__(self) -> str:
        return f"{self.storage.child(self.key)}/{self.name}"

    def path(self) -> Path:
        """Return its path on this machine, or its local copy's; raise StoreError if it doesn't exist any more."""
        try:
            path = self.storage.local_dir(self.key) / self.name
            if not path.exists():  # programs that clean caches remove single files
                self.storage.discard(self.key)
                self.storage.local_dir(self.key)  # fetches another copy
        except FileNotFoundError:
            raise StoreError(f"{self.storage.child(self.key)}: removed; run again to cache the shard again") from None
        return path


@dataclass(frozen=True, eq=False)
class ShardedImages:
    """Images in files; `numbers` are their row numbers, counted through all files.

    Files are read, not memory-mapped: nothing stays in memory, and a disk failure raises an error instead of a signal.
    """

    files: Sequence[PixelFile]
    labels: NDArray[np.uint8]
    numbers: NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, indices: slice | NDArray[np.integer], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Read the pixels of some images; neighbours in a file are read together."""
        numbers = self.numbers[indices].astype(np.int64)
        pixels = np.empty((len(numbers), PIXEL_COUNT), np.uint8) if out is None else out
        ends = np.cumsum([file.n_rows for file in self.files])
        file_numbers = np.searchsorted(ends, numbers, side="right")
        for file_number in np.unique(file_numbers):
            targets = np.flatnonzero(file_numbers == file_number)
            file = self.files[file_number]
            _read(file, numbers[targets] - (ends[file_number] - file.n_rows), targets, pixels)
        return pixels

    def take(self, indices: NDArray[np.integer]) -> ShardedImages:
        """Return some of the images, without reading any."""
        return ShardedImages(self.files, self.labels[indices], self.numbers[indices])

    def pieces(self) -> Iterator[slice]:
        return blocks(len(self), PIECE_ROWS)


def _read(file: PixelFile, rows: NDArray[np.int64], targets: NDArray[np.intp], pixels: NDArray[np.uint8]) -> None:
    """Read some rows of a file into the rows `targets` of `pixels`."""
    steps = np.diff(rows)
    breaks = np.flatnonzero((steps < 1) | (steps > MAX_GAP) | (np.diff(rows // MAX_READ_ROWS) != 0)) + 1
    buffer = np.empty((MAX_READ_ROWS, PIXEL_COUNT), np.uint8)
    try:
        with file.path().open("rb", buffering=0) as stream:
            for start, stop in zip([0, *breaks], [*breaks, len(rows)], strict=True):
                first, last = int(rows[start]), int(rows[stop - 1]) + 1
                # Rows that are consecutive in source and target need no buffer.
                direct = last - first == stop - start == targets[stop - 1] + 1 - targets[start]
                block = pixels[targets[start] : targets[start] + stop - start] if direct else buffer[: last - first]
                stream.seek(HEADER_BYTES + first * PIXEL_COUNT)
                if stream.readinto(block.data) != block.size:
                    raise StoreError(
                        f"{file}: ends before row {last:,} of {file.n_rows:,}; run again to cache it again"
                    )
                if not direct:
                    pixels[targets[start:stop]] = block[rows[start:stop] - first]
    except OSError as error:
        raise StoreError(
            f"{file}: can't be read ({error.strerror}); run again to cache the shard again if it is damaged"
        ) from error
