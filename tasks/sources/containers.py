"""Read named arrays from MATLAB's `.mat` files and from HDF5 files."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd

from schemas.errors import InputError, first_line
from schemas.rules import InputRules, Rules
from tasks.sources import files
from tasks.sources.arrays import NUMBER_KINDS, TEXT_KINDS, Array, Shape, array_batches, check_arrays, read_arrays
from tasks.sources.files import PIECE_BYTES, check_declared, check_expanded, open_regular
from tasks.sources.frames import Frames

MAX_DEPTH = 4
"""Depth of structures within structures; EMNIST's arrays are `dataset.train.images`."""

MAT_HEADER_BYTES, MAT_COMPRESSED = 128, 15
MAT_BYTES = {"int8": 1, "uint8": 1, "logical": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "single": 4}
"""Bytes of a number in memory, by the class of its array; of others 8 or, of text, fewer."""


def read(path: Path, rules: Rules) -> Frames:
    """Read the training part and, if there is one, the test part."""
    with _open(path, rules) as arrays:
        return read_arrays(arrays, rules)


def check(path: Path, rules: InputRules) -> None:
    """Raise InputError unless the names and shapes of the arrays are those of labelled images."""
    with _open(path, rules) as arrays:
        check_arrays(arrays, rules)


def batches(path: Path, rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read the test part, if there is one, or all rows; a single array may have any name."""
    with _open(path, rules) as arrays:
        yield from array_batches(arrays, rules, n_rows)


class _Arrays(NamedTuple):
    """Arrays in memory, or HDF5's datasets, which are read when they are sliced."""

    path: Path
    datasets: Mapping[str, Any]

    def shapes(self) -> dict[str, Shape]:
        return {name: tuple(dataset.shape) for name, dataset in self.datasets.items()}

    def n_bytes(self, name: str) -> int:
        dataset = self.datasets[name]
        return int(np.prod(dataset.shape, dtype=object)) * int(dataset.dtype.itemsize)

    def check(self, name: str) -> None:
        dataset = self.datasets[name]
        if dataset.dtype.kind not in NUMBER_KINDS + TEXT_KINDS:
            raise InputError(f"{self.path}: expected numbers in {name}, got {dataset.dtype}")
        check_declared(str(self.path), self.path.stat().st_size, self.n_bytes(name), "bytes")

    def read(self, name: str) -> Array:
        self.check(name)
        return np.asarray(self.datasets[name][()])

    def read_rows(self, name: str, n_rows: int) -> Iterator[Array]:
        self.check(name)
        dataset = self.datasets[name]
        for start in range(0, max(dataset.shape[0], 1), n_rows):
            yield np.asarray(dataset[start : start + n_rows])


@contextmanager
def _open(path: Path, rules: InputRules) -> Iterator[_Arrays]:
    with open_regular(path) as file:
        is_hdf5 = files.is_hdf5(file.read(files.HEAD))
    try:
        if is_hdf5:
            with _open_hdf5(path) as datasets:
                yield _Arrays(path, datasets)
        else:
            yield _Arrays(path, _load_mat(path, rules))
    except InputError:
        raise
    except Exception as error:  # damaged content makes SciPy and h5py raise many kinds
        raise InputError(
            f"{path}: not a readable {'HDF5' if is_hdf5 else '.mat'} file ({first_line(error)})"
        ) from error


def _load_mat(path: Path, rules: InputRules) -> dict[str, Any]:
    """Load all arrays; SciPy can't read a part of one. Raises InputError before it if they exceed the bound."""
    import scipy.io

    _check_mat(path, rules.max_expanded_mib)
    declared = {name: math.prod(shape) * MAT_BYTES.get(kind, 8) for name, shape, kind in scipy.io.whosmat(path)}
    check_expanded(path, sum(declared.values()), rules.max_expanded_mib)
    found: dict[str, Any] = {}
    content = scipy.io.loadmat(path, variable_names=list(declared), struct_as_record=False, squeeze_me=False)
    for name, value in content.items():
        if not name.startswith("__"):
            _flatten(name, value, found, MAX_DEPTH)
    return found


def _check_mat(path: Path, max_mib: int) -> None:
    """Raise InputError if a file's variables, each compressed by itself, expand to more than the bound."""
    n_bytes = 0
    with open_regular(path) as file:
        order = ">" if file.read(MAT_HEADER_BYTES).endswith(b"MI") else "<"
        while len(tag := file.read(8)) == 8:  # noqa: PLR2004, the type and the size of an element
            kind, size = struct.unpack(f"{order}2I", tag)
            end = file.tell() + size
            if kind == MAT_COMPRESSED:
                for n_more in _expanded_sizes(file, size):
                    n_bytes += n_more
                    check_expanded(path, n_bytes, max_mib)
            file.seek(end)


def _expanded_sizes(file: IO[bytes], size: int) -> Iterator[int]:
    """Yield the sizes of the pieces to which `size` compressed bytes expand."""
    expander = zlib.decompressobj()
    while size > 0 and not expander.eof and (piece := file.read(min(size, PIECE_BYTES))):
        size -= len(piece)
        while piece and not expander.eof:
            yield len(expander.decompress(piece, PIECE_BYTES))
            piece = expander.unconsumed_tail


def _flatten(name: str, value: Any, found: dict[str, Any], depth: int) -> None:  # noqa: ANN401, SciPy has no types
    """Add arrays to those found, under names such as `dataset.train.images` where structures hold them."""
    array = np.asarray(value)
    if array.dtype != object:
        found[name] = array
    elif depth and array.size == 1:
        for field in getattr(array.item(), "_fieldnames", ()):
            _flatten(f"{name}.{field}", getattr(array.item(), field), found, depth - 1)


@contextmanager
def _open_hdf5(path: Path) -> Iterator[dict[str, Any]]:
    import h5py

    found: dict[str, Any] = {}

    def add(name: str, node: Any) -> None:  # noqa: ANN401, h5py has no types
        if not isinstance(node, h5py.Dataset) or not node.shape:
            return
        if node.external or node.is_virtual:  # the path of any other file may be in there
            raise InputError(f"{path}: {name} is stored in other files; copy the arrays into one file")
        found[name] = node

    with h5py.File(path, "r") as file:
        file.visititems(add)  # follows no link out of the file
        yield found
