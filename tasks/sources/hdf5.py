"""Read HDF5 files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.errors import InputError
from schemas.rules import InputRules
from tasks.sources.arrays import ArrayReader, Arrays, SlicedArray
from tasks.sources.files import check_declared


class _Dataset(SlicedArray):
    def check(self) -> None:
        super().check()
        check_declared(str(self.path), self.path.stat().st_size, self.n_bytes, "bytes")


@contextmanager
def _open(path: Path, _rules: InputRules) -> Iterator[Arrays]:
    import h5py

    datasets: dict[str, _Dataset] = {}

    def add(name: str, node: Any) -> None:  # noqa: ANN401, h5py has no types
        if not isinstance(node, h5py.Dataset) or not node.shape:
            return
        if node.external or node.is_virtual:  # the path of any other file may be in there
            raise InputError(f"{path}: {name} is stored in other files; copy the arrays into one file")
        datasets[name] = _Dataset(path, name, node)

    with h5py.File(path, "r") as file:
        file.visititems(add)  # follows no link out of the file
        yield datasets


READER = ArrayReader("HDF5", _open)
read, check, batches = READER.read, READER.check, READER.batches
