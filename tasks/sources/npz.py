"""Read arrays that NumPy saved: `.npz` files, `.npy` files of images, and folders of `.npy` files. Never unpickles."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pandas as pd

from schemas.errors import InputError, first_line
from schemas.rules import InputRules, Rules
from tasks.sources.arrays import NUMBER_KINDS, TEXT_KINDS, Array, Shape, array_batches, check_arrays, read_arrays
from tasks.sources.files import MAX_RATIO, NPY, check_inside, npy_files, open_regular
from tasks.sources.frames import Frames

# By version of the .npy format.
HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
MAX_HEADER_BYTES = 10_240
"""NumPy accepts headers of 10,000 characters."""
MAX_BY_COLUMN_MIB = 512
"""MiB of an array to predict on that is stored column by column, and so in memory as a whole: 70,000 float64 images."""

PICKLED = "pickled objects, which may run code; save arrays of numbers"


def read(path: Path, rules: Rules) -> Frames:
    """Read the training part and, if there is one, the test part."""
    with _open(path) as arrays:
        return read_arrays(arrays, rules)


def check(path: Path, rules: InputRules) -> None:
    """Raise InputError unless the names and shapes of the arrays are those of labelled images."""
    with _open(path) as arrays:
        check_arrays(arrays, rules)


def batches(path: Path, rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read the test part, if there is one, or all rows; a single array may have any name."""
    with _open(path) as arrays:
        yield from array_batches(arrays, rules, n_rows)


class _Member(NamedTuple):
    """An array's `.npy` file: its name, its size, and a function that opens it."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


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


class _Arrays(NamedTuple):
    """The arrays of a file or folder, by name."""

    path: Path
    members: dict[str, _Member]

    def n_bytes(self, name: str) -> int:
        return self.members[name].size  # zipfile reads no more than that

    def shapes(self) -> dict[str, Shape]:
        headers = {}
        for name, member in self.members.items():
            with member.open() as file:
                headers[name] = self._read_header(name, file)
        if headers and all(header.dtype.hasobject for header in headers.values()):
            raise InputError(f"{self.path}: {PICKLED}")
        return {name: header.shape for name, header in headers.items()}

    def check(self, name: str) -> None:
        with self.members[name].open() as file:
            self._check_header(name, file)

    def read(self, name: str) -> Array:
        self.check(name)
        with self.members[name].open() as file:
            array: Array = np.lib.format.read_array(file, allow_pickle=False)
        return array

    def read_rows(self, name: str, n_rows: int) -> Iterator[Array]:
        """Read an array `n_rows` rows at a time; one that is stored column by column is read at once."""
        with self.members[name].open() as file:
            (total, *image), by_column, dtype = self._check_header(name, file)
            array = self._read_by_column(name) if by_column else None
            for start in range(0, max(total, 1), n_rows):
                if array is not None:
                    yield array[start : start + n_rows]
                    continue
                shape = (min(n_rows, total - start), *image)
                yield np.frombuffer(file.read(dtype.itemsize * int(np.prod(shape))), dtype).reshape(shape)

    def _read_by_column(self, name: str) -> Array:
        n_bytes = self.n_bytes(name)
        if n_bytes > MAX_BY_COLUMN_MIB << 20:
            raise InputError(
                f"{self.path}: {name} is stored column by column and takes {n_bytes >> 20:,} MiB; save it row by row, "
                "with numpy.ascontiguousarray"
            )
        return self.read(name)

    def _check_header(self, name: str, file: IO[bytes]) -> Header:
        header = self._read_header(name, file)
        if header.dtype.kind not in NUMBER_KINDS + TEXT_KINDS:
            content = PICKLED if header.dtype.hasobject else f"{header.dtype}"
            raise InputError(f"{self.path}: expected numbers in {self.members[name].name}, got {content}")
        return header

    def _read_header(self, name: str, file: IO[bytes]) -> Header:
        """Read a header; raise ValueError if its size differs from the member's: NumPy would allocate the header's."""
        content = io.BytesIO(file.read(MAX_HEADER_BYTES))  # its length is a claim, too
        member = self.members[name]
        header = parse_header(content, member.name)
        file.seek(content.tell())
        n_bytes = member.size - content.tell()
        if header.n_bytes != n_bytes and not header.dtype.hasobject:
            raise ValueError(f"{member.name}: its header declares {header.n_bytes:,} bytes, it has {n_bytes:,}")
        return header


@contextmanager
def _open(path: Path) -> Iterator[_Arrays]:
    try:
        if path.is_dir():
            yield _Arrays(path, {file.stem: _member(file, path) for file in npy_files(path)})
        elif _is_npy(path):
            yield _Arrays(path, {path.stem: _member(path, path)})
        else:
            with zipfile.ZipFile(path) as archive:
                yield _Arrays(path, _zip_members(archive, path.stat().st_size))
    except InputError:
        raise
    except Exception as error:  # damaged content makes zipfile and NumPy raise many kinds, such as TokenError
        kind = ".npy" if path.is_dir() or path.suffix == ".npy" else ".npz"
        raise InputError(f"{path}: not a readable {kind} file ({first_line(error)})") from error


def _is_npy(path: Path) -> bool:
    with open_regular(path) as file:
        return file.read(len(NPY)) == NPY


def _member(file: Path, root: Path) -> _Member:
    check_inside(file, root)
    return _Member(file.name, file.stat().st_size, lambda: open_regular(file))


def _zip_members(archive: zipfile.ZipFile, n_bytes: int) -> dict[str, _Member]:
    members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    for info in members:
        _check_member(info, n_bytes)
    return {
        info.filename.removesuffix(".npy"): _Member(info.filename, info.file_size, partial(archive.open, info))
        for info in members
    }


def _check_member(member: zipfile.ZipInfo, n_bytes: int) -> None:
    """Raise ValueError unless a member's declared size is possible in a file of `n_bytes`."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename} is compressed by another method than deflate")
    if member.file_size > min(member.compress_size, n_bytes) * MAX_RATIO:
        raise ValueError(f"{member.filename}: {member.file_size:,} bytes declared, more than the file can hold")
