"""Read `.npz` files, archives of arrays that NumPy saved. Never unpickles."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from schemas.errors import InputError
from schemas.rules import InputRules
from tasks.sources.arrays import Array, ArrayReader, Arrays, Shape, StoredArray
from tasks.sources.files import MAX_RATIO

# By version of the .npy format.
HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
MAX_HEADER_BYTES = 10_240
"""NumPy accepts headers of 10,000 characters."""
MAX_BY_COLUMN_MIB = 512
"""MiB of an array to predict on that is stored column by column, and so in memory as a whole: 70,000 float64 images."""

PICKLED = "pickled objects, which may run code; save arrays of numbers"


class Header(NamedTuple):
    """The header of an `.npy` file."""

    shape: Shape
    by_column: bool
    dtype: np.dtype[np.generic]

    @property
    def n_bytes(self) -> int:
        """The size of the array that the header declares."""
        return self.dtype.itemsize * math.prod(self.shape)


def parse_header(content: IO[bytes], name: str) -> Header:
    """Read the header at the beginning of an `.npy` file; raise ValueError, or what NumPy raises for a damaged one."""
    version = np.lib.format.read_magic(content)
    if version not in HEADER_READERS:
        raise ValueError(f"{name} is of version {version} of the .npy format")
    return Header(*HEADER_READERS[version](content))


class Member(NamedTuple):
    """An `.npy` file: its name without the suffix, its size, and a function that opens it."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]

    def read_header(self, file: IO[bytes]) -> Header:
        """Read a header; raise ValueError if its size differs from the member's: NumPy would allocate the header's."""
        content = io.BytesIO(file.read(MAX_HEADER_BYTES))  # its length is a claim, too
        header = parse_header(content, f"{self.name}.npy")
        file.seek(content.tell())
        n_bytes = self.size - content.tell()
        if header.n_bytes != n_bytes and not header.dtype.hasobject:
            raise ValueError(f"{self.name}.npy: its header declares {header.n_bytes:,} bytes, it has {n_bytes:,}")
        return header


class _NpyArray(StoredArray):
    """An array as NumPy saves it."""

    def __init__(self, path: Path, member: Member) -> None:
        self._member = member
        with member.open() as file:
            header = member.read_header(file)
        super().__init__(path, member.name, header.shape, header.dtype)
        self._by_column = header.by_column

    def check(self) -> None:
        if self.dtype.hasobject:
            raise InputError(f"{self.path}: expected numbers in {self.name}.npy, got {PICKLED}")
        super().check()

    def read(self) -> Array:
        with self._member.open() as file:
            array: Array = np.lib.format.read_array(file, allow_pickle=False)
        return array

    def read_rows(self, n_rows: int) -> Iterator[Array]:
        """Read the array `n_rows` rows at a time; one that is stored column by column is read at once."""
        total, *image = self.shape
        array = self._read_by_column() if self._by_column else None
        with self._member.open() as file:
            self._member.read_header(file)
            for start in range(0, max(total, 1), n_rows):
                if array is not None:
                    yield array[start : start + n_rows]
                    continue
                shape = (min(n_rows, total - start), *image)
                yield np.frombuffer(file.read(self.dtype.itemsize * math.prod(shape)), self.dtype).reshape(shape)

    def _read_by_column(self) -> Array:
        if self.n_bytes > MAX_BY_COLUMN_MIB << 20:
            raise InputError(
                f"{self.path}: {self.name} is stored column by column and takes {self.n_bytes >> 20:,} MiB; save it "
                "row by row, with numpy.ascontiguousarray"
            )
        return self.read()


def stored_arrays(path: Path, members: Iterable[Member]) -> Arrays:
    """Return the arrays of `.npy` files by name."""
    arrays = {member.name: _NpyArray(path, member) for member in members}
    if arrays and all(array.dtype.hasobject for array in arrays.values()):
        raise InputError(f"{path}: {PICKLED}")
    return arrays


@contextmanager
def _open(path: Path, _rules: InputRules) -> Iterator[Arrays]:
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        for info in members:
            _check_member(info, path.stat().st_size)
        yield stored_arrays(path, [_member(archive, info) for info in members])


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    return Member(info.filename.removesuffix(".npy"), info.file_size, partial(archive.open, info))


def _check_member(member: zipfile.ZipInfo, n_bytes: int) -> None:
    """Raise ValueError unless a member's declared size is possible in a file of `n_bytes`."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename} is compressed by another method than deflate")
    if member.file_size > min(member.compress_size, n_bytes) * MAX_RATIO:
        raise ValueError(f"{member.filename}: {member.file_size:,} bytes declared, more than the file can hold")


READER = ArrayReader(".npz", _open)
read, check, batches = READER.read, READER.check, READER.batches
