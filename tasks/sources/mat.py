"""Read MATLAB's `.mat` files."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from schemas.rules import InputRules
from tasks.sources.arrays import Array, ArrayReader, Arrays, SlicedArray
from tasks.sources.files import PIECE_BYTES, check_expanded, open_regular

MAX_DEPTH = 4
"""Depth of structures within structures; EMNIST's arrays are `dataset.train.images`."""

MAT_HEADER_BYTES, MAT_COMPRESSED = 128, 15
MAT_BYTES = {"int8": 1, "uint8": 1, "logical": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "single": 4}
"""Bytes of a number in memory, by the class of its array; of others 8 or, of text, fewer."""


@contextmanager
def _open(path: Path, rules: InputRules) -> Iterator[Arrays]:
    """Load all arrays; SciPy can't read a part of one. Raises InputError before it if they exceed the bound."""
    import scipy.io

    _check_expanded(path, rules.max_expanded_mib)
    declared = {name: math.prod(shape) * MAT_BYTES.get(kind, 8) for name, shape, kind in scipy.io.whosmat(path)}
    check_expanded(path, sum(declared.values()), rules.max_expanded_mib)
    content = scipy.io.loadmat(path, variable_names=list(declared), struct_as_record=False, squeeze_me=False)
    variables = [(name, value) for name, value in content.items() if not name.startswith("__")]
    arrays = dict(pair for variable in variables for pair in _flatten(*variable, MAX_DEPTH))
    yield {name: SlicedArray(path, name, values) for name, values in arrays.items()}


def _check_expanded(path: Path, max_mib: int) -> None:
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


def _flatten(name: str, value: Any, depth: int) -> Iterator[tuple[str, Array]]:  # noqa: ANN401, SciPy has no types
    """Yield arrays under names such as `dataset.train.images` where structures hold them."""
    array = np.asarray(value)
    if array.dtype != object:
        yield name, array
    elif depth and array.size == 1:
        for field in getattr(array.item(), "_fieldnames", ()):
            yield from _flatten(f"{name}.{field}", getattr(array.item(), field), depth - 1)


READER = ArrayReader(".mat", _open)
read, check, batches = READER.read, READER.check, READER.batches
