"""Read IDX files, the original MNIST's format, gzipped or not: a folder of them, or a single file of images."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

import numpy as np

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.errors import InputError
from schemas.rules import InputRules, Rules
from tasks.sources.arrays import Array, ArrayReader, Arrays, Shape, StoredArray
from tasks.sources.files import (
    IDX_IMAGES,
    IDX_LABELS,
    IDX_NAME,
    PIECE_BYTES,
    check_inside,
    entries,
    reading,
)
from tasks.sources.frames import Frames
from tasks.sources.sizes import SIDES

Content = Literal["images", "labels"]

MAGIC = {"images": int.from_bytes(IDX_IMAGES, "big"), "labels": int.from_bytes(IDX_LABELS, "big")}
"""The magic numbers of the original files, for messages."""
LAYOUTS: dict[Content, dict[int, tuple[str, tuple[Shape, ...]]]] = {
    "images": {
        MAGIC["images"]: ("u1", ((SIDE, SIDE), *((side, side) for side in SIDES))),
        0x0802: ("u1", ((PIXEL_COUNT,),)),
        0x0804: ("u1", ((SIDE, SIDE, 1), (1, SIDE, SIDE))),
    },
    "labels": {MAGIC["labels"]: ("u1", ((),)), 0x0C02: (">i4", ((8,),))},
}
"""By content and magic number: the type of a value and the shapes of a row. QMNIST's rows begin with the label."""
PARTS = ("train", "test")


class _IdxArray(StoredArray):
    """The rows of a file; of QMNIST's labels, the first number of each."""

    def __init__(self, path: Path, content: Content) -> None:
        with reading(path) as file:
            n_rows, self._row, dtype = _read_header(path, content, file)
        super().__init__(path, path.name, (n_rows, *(self._row if content == "images" else ())), dtype)
        self._content = content

    @property
    def where(self) -> str:
        return str(self.path)

    def read(self) -> Array:
        [rows] = self.read_rows(max(self.shape[0], 1))
        return rows

    def read_rows(self, n_rows: int) -> Iterator[Array]:
        """Read the rows that the header declares, and check that no data follows."""
        total, row_bytes = self.shape[0], self.dtype.itemsize * math.prod(self._row)
        with reading(self.path) as file:
            _read_header(self.path, self._content, file)
            begin = file.tell()
            for start in range(0, max(total, 1), n_rows):
                expected = min(n_rows, total - start) * row_bytes
                values = _read_up_to(file, expected)
                if len(values) < expected:
                    end, needed = begin + start * row_bytes + len(values), begin + total * row_bytes
                    raise InputError(f"{self.path}: ends at byte {end:,}; {total:,} rows need {needed:,}")
                rows = np.frombuffer(values, self.dtype).reshape(-1, *self._row)
                yield rows if self._content == "images" else rows.reshape(len(rows), -1)[:, 0]
            if file.read(1):
                raise InputError(f"{self.path}: goes on after byte {file.tell() - 1:,}, where its {total:,} rows end")


@contextmanager
def _open(path: Path, _rules: InputRules) -> Iterator[Arrays]:
    if not path.is_dir():
        yield {"images": _IdxArray(path, "images")}
        return
    files = _find_files(path)
    if not any(content == "images" for _, content in files):
        raise InputError(f"{path}: no IDX file of images")
    yield {f"{part} {content}": _IdxArray(file, content) for (part, content), file in files.items()}


READER = ArrayReader("IDX", _open)
batches = READER.batches


def read(folder: Path, rules: Rules) -> Frames:
    """Read the four files, or only the two of the training part. Error messages name the file and the byte."""
    _check_files(folder)
    return READER.read(folder, rules)


def check(folder: Path, rules: InputRules) -> None:
    """Raise InputError unless there is one file for each role, with its header."""
    _check_files(folder)
    READER.check(folder, rules)


def _check_files(folder: Path) -> None:
    files = _find_files(folder)
    parts = PARTS if any(part == "test" for part, _ in files) else PARTS[:1]
    missing = [f"{part} {content}" for part in parts for content in LAYOUTS if (part, content) not in files]
    if missing:
        raise InputError(f"{folder}: no IDX file of the {' and the '.join(missing)}")


def _find_files(folder: Path) -> dict[tuple[str, Content], Path]:
    """Find the files of a folder by part and content; of two with the same bytes, such as a gzipped copy, the first."""
    files: dict[tuple[str, Content], Path] = {}
    for path in entries(folder):
        if not (name := IDX_NAME.search(path.name)) or not path.is_file():
            continue
        check_inside(path, folder)
        part = "train" if name[1].lower() == "train" else "test"
        role: tuple[str, Content] = (part, "images" if name[2].lower().startswith("image") else "labels")
        if role not in files:
            files[role] = path
        elif not _are_equal(files[role], path):
            raise InputError(f"{folder}: {files[role].name} and {path.name} both are the {' '.join(role)}, and differ")
    return files


def _are_equal(path: Path, other: Path) -> bool:
    with reading(path) as one, reading(other) as two:
        while (piece := one.read(PIECE_BYTES)) == two.read(PIECE_BYTES):
            if not piece:
                return True
    return False


def _read_up_to(file: IO[bytes], n_bytes: int) -> bytearray:
    """Read bytes in pieces: a single read would allocate all that the header declares."""
    content = bytearray()
    while piece := file.read(min(n_bytes - len(content), PIECE_BYTES)):
        content += piece
    return content


def _read_header(path: Path, content: Content, file: IO[bytes]) -> tuple[int, Shape, np.dtype[np.generic]]:
    """Read and check a header; return the number of rows, the shape of each, and the type of their values."""
    start = file.read(4)
    magic = int.from_bytes(start, "big")
    dtype, shapes = LAYOUTS[content].get(magic, LAYOUTS[content][MAGIC[content]])
    size = 4 * (1 + len(shapes[0]))
    rest = file.read(size)
    if len(start + rest) < 4 + size:
        raise InputError(f"{path}: ends at byte {len(start + rest)}, within the header of {4 + size}")
    if magic not in LAYOUTS[content]:
        raise InputError(f"{path}: byte 0: expected the magic number {MAGIC[content]:#010x}, got {magic:#010x}")
    n_rows, *sides = struct.unpack(f">{size // 4}I", rest)
    if tuple(sides) not in shapes:
        expected = "images of 28 × 28" if content == "images" else "rows of 8 numbers, as QMNIST's"
        raise InputError(f"{path}: byte 8: expected {expected}, got {' × '.join(map(str, sides))}")
    return int(n_rows), tuple(sides), np.dtype(dtype)
