"""Read `.npz` files in Keras' layout, `x_train, y_train, x_test, y_test`, or with `x, y` alone. Never unpickles."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.errors import InputError, first_line
from schemas.rules import InputRules, Rules
from tasks.sources.files import check_expanded
from tasks.sources.frames import Frames, image_batches, images_to_frame

TRAIN, TEST, UNSPLIT = ("x_train", "y_train"), ("x_test", "y_test"), ("x", "y")
TO_TRAIN: tuple[tuple[tuple[str, str], ...], ...] = ((TRAIN, TEST), (TRAIN,), (UNSPLIT,))
"""Pairs of arrays, images and labels: of these alternatives, the first that a file has is read."""
TO_PREDICT = (TEST, TEST[:1], UNSPLIT, UNSPLIT[:1], TRAIN, TRAIN[:1])
"""The same for prediction, where labels are optional."""
IMAGE_SHAPES = {(SIDE, SIDE), (SIDE, SIDE, 1), (PIXEL_COUNT,)}
NUMBER_KINDS = "biuf"
# By version of the .npy format.
HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
DAMAGED = zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError, EOFError, OSError, RuntimeError


def read(path: Path, rules: Rules) -> Frames:
    """Read the training part and, if there is one, the test part. Error messages name the array."""
    with _open(path) as arrays:
        parts = _find_parts(arrays)
        check_expanded(path, sum(map(arrays.n_bytes, chain(*parts))), rules.max_expanded_mib)
        frames = []
        for names in parts:
            pixels, labels = map(arrays.read, names)
            frames.append(images_to_frame(pixels, labels.reshape(-1)))
    return Frames(*frames)


def check(path: Path, _rules: InputRules) -> None:
    """Raise InputError unless the names and shapes of the arrays are those of labelled images."""
    with _open(path) as arrays:
        _find_parts(arrays)


def batches(path: Path, _rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read the test part, if there is one, or all rows; a single array may have any name."""
    with _open(path) as arrays:
        only = tuple(arrays.members) if len(arrays.members) == 1 else UNSPLIT[:1]
        names = next((names for names in (*TO_PREDICT, only) if arrays.has(names)), None)
        if names is None:
            raise InputError(f"{path}: no array x_test, x or x_train; found {arrays.summary}")
        shapes = [arrays.shape(name) for name in names]  # of all, before any of them is read
        labels = None
        if names[1:]:
            _check_shapes(path, names, *shapes)
            labels = arrays.read(names[1]).reshape(-1)
        elif shapes[0][1:] not in IMAGE_SHAPES:
            raise InputError(f"{path}: expected {names[0]} as (rows, 28, 28), got {shapes[0]}")
        yield from image_batches(arrays.read_rows(names[0], n_rows), labels)


_Header = tuple[tuple[int, ...], bool, np.dtype[np.generic]]
"""The shape of an array, whether it is stored column by column, and its type."""


class _Arrays(NamedTuple):
    """The arrays of a file, whose `members` are named after them."""

    path: Path
    archive: zipfile.ZipFile
    members: dict[str, str]

    @property
    def summary(self) -> str:
        return ", ".join(sorted(self.members)[:8]) or "none"

    def has(self, names: Iterable[str]) -> bool:
        return set(names) <= set(self.members)

    def n_bytes(self, name: str) -> int:
        return self.archive.getinfo(self.members[name]).file_size  # zipfile reads no more than that

    def shape(self, name: str) -> tuple[int, ...]:
        with self.archive.open(self.members[name]) as file:
            return self._read_header(name, file)[0]

    def read(self, name: str) -> NDArray[np.generic]:
        self.shape(name)  # checks the header
        with self.archive.open(self.members[name]) as file:
            array: NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
        return array

    def read_rows(self, name: str, n_rows: int) -> Iterator[NDArray[np.generic]]:
        """Read an array `n_rows` rows at a time; one that is stored column by column is read at once."""
        with self.archive.open(self.members[name]) as file:
            (total, *image), by_column, dtype = self._read_header(name, file)
            array = self.read(name) if by_column else None
            for start in range(0, max(total, 1), n_rows):
                if array is not None:
                    yield array[start : start + n_rows]
                    continue
                shape = (min(n_rows, total - start), *image)
                yield np.frombuffer(file.read(dtype.itemsize * int(np.prod(shape))), dtype).reshape(shape)

    def _read_header(self, name: str, file: IO[bytes]) -> _Header:
        """Read a header; raise ValueError if its size differs from the member's: NumPy would allocate the header's."""
        member = self.members[name]
        version = np.lib.format.read_magic(file)
        if version not in HEADER_READERS:
            raise ValueError(f"{member} is of version {version} of the .npy format")
        shape, by_column, dtype = HEADER_READERS[version](file)
        if dtype.kind not in NUMBER_KINDS:
            content = "pickled objects" if dtype.hasobject else f"{dtype}"
            raise InputError(f"{self.path}: expected numbers in {member}, got {content}")
        declared_bytes = dtype.itemsize * int(np.prod([*shape, 1], dtype=object))
        n_bytes = self.n_bytes(name) - file.tell()
        if declared_bytes != n_bytes:
            raise ValueError(f"{member}: its header declares {declared_bytes:,} bytes, it has {n_bytes:,}")
        return shape, by_column, dtype


@contextmanager
def _open(path: Path) -> Iterator[_Arrays]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            yield _Arrays(path, archive, {name.removesuffix(".npy"): name for name in names})
    except DAMAGED as error:
        raise InputError(f"{path}: not a readable .npz file ({first_line(error)})") from error


def _find_parts(arrays: _Arrays) -> tuple[tuple[str, str], ...]:
    """Return the pairs of arrays to train on; raise InputError if there are none, or for their shapes."""
    parts = next((parts for parts in TO_TRAIN if arrays.has(chain(*parts))), None)
    if parts is None:
        raise InputError(f"{arrays.path}: no arrays x_train, y_train, x_test, y_test, or x, y; found {arrays.summary}")
    for names in parts:
        _check_shapes(arrays.path, names, *map(arrays.shape, names))
    return parts


def _check_shapes(path: Path, names: tuple[str, ...], pixels: tuple[int, ...], labels: tuple[int, ...]) -> None:
    one_each = labels in {pixels[:1], (*pixels[:1], 1)}  # the second as Keras' cifar10 has them
    if not one_each or pixels[1:] not in IMAGE_SHAPES:
        raise InputError(f"{path}: {names[0]} is {pixels} and {names[1]} {labels}; expected (rows, 28, 28) and (rows,)")
