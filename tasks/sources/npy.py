"""Read `.npy` files, arrays that NumPy saved: a file of images, or a folder of files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from schemas.rules import InputRules
from tasks.sources.arrays import ArrayReader, Arrays
from tasks.sources.files import check_inside, npy_files, open_regular
from tasks.sources.npz import Member, stored_arrays


@contextmanager
def _open(path: Path, _rules: InputRules) -> Iterator[Arrays]:
    files = npy_files(path) if path.is_dir() else [path]
    for file in files:
        check_inside(file, path)
    yield stored_arrays(path, [Member(file.stem, file.stat().st_size, partial(open_regular, file)) for file in files])


READER = ArrayReader(".npy", _open)
read, check, batches = READER.read, READER.check, READER.batches
