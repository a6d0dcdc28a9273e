"""Read `.npz` files in Keras' layout, `x_train, y_train, x_test, y_test`, or with `x, y` alone. Never unpickles."""

from __future__ import annotations

import io
import zipfile
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
from tasks.sources.files import MAX_RATIO, check_expanded, open_regular
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
MAX_HEADER_BYTES = 10_240
"""NumPy accepts headers of 10,000 characters."""
MAX_BY_COLUMN_MIB = 512
"""MiB of an array to predict on that is stored column by column, and so in memory as a whole: 70,000 float64 images."""


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


def check(path: Path) -> None:
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
            labels = (rows.reshape(-1) for rows in arrays.read_rows(names[1], n_rows))
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
            array = self._read_by_column(name) if by_column else None
            for start in range(0, max(total, 1), n_rows):
                if array is not None:
                    yield array[start : start + n_rows]
                    continue
                shape = (min(n_rows, total - start), *image)
                yield np.frombuffer(file.read(dtype.itemsize * int(np.prod(shape))), dtype).reshape(shape)

    def _read_by_column(self, name: str) -> NDArray[np.generic]:
        n_bytes = self.n_bytes(name)
        if n_bytes > MAX_BY_COLUMN_MIB << 20:
            raise InputError(
                f"{self.path}: {name} is stored column by column and takes {n_bytes >> 20:,} MiB; save it row by row, "
                "with numpy.ascontiguousarray"
            )
        return self.read(name)

    def _read_header(self, name: str, file: IO[bytes]) -> _Header:
        """Read a header; raise ValueError if its size differs from the member's: NumPy would allocate the header's."""
        member = self.members[name]
        header = io.BytesIO(file.read(MAX_HEADER_BYTES))  # its length is a claim, too
        version = np.lib.format.read_magic(header)
        if version not in HEADER_READERS:
            raise ValueError(f"{member} is of version {version} of the .npy format")
        shape, by_column, dtype = HEADER_READERS[version](header)
        file.seek(header.tell())
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
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            for member in members:
                _check_member(member, path.stat().st_size)
            names = [member.filename for member in members]
            yield _Arrays(path, archive, {name.removesuffix(".npy"): name for name in names})
    except InputError:
        raise
    except Exception as error:  # damaged content makes zipfile and NumPy raise many kinds, such as TokenError
        raise InputError(f"{path}: not a readable .npz file ({first_line(error)})") from error


def _check_member(member: zipfile.ZipInfo, n_bytes: int) -> None:
    """Raise ValueError unless a member's declared size is possible in a file of `n_bytes`."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename} is compressed by another method than deflate")
    if member.file_size > min(member.compress_size, n_bytes) * MAX_RATIO:
        raise ValueError(f"{member.filename}: {member.file_size:,} bytes declared, more than the file can hold")


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
