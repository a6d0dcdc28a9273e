"""Read IDX files, the original MNIST's format, gzipped or not: a folder of them, or a single file of images."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.errors import InputError
from schemas.rules import InputRules, Rules
from tasks.sources.files import (
    IDX_IMAGES,
    IDX_LABELS,
    IDX_NAME,
    PIECE_BYTES,
    check_expanded,
    check_inside,
    entries,
    have_equal_content,
    reading,
)
from tasks.sources.frames import Frames, image_batches, images_to_frame
from tasks.sources.parts import PartName
from tasks.sources.sizes import SIDES, check_size

Array = NDArray[np.generic]
Shape = tuple[int, ...]
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
ROLES: tuple[tuple[PartName, Content], ...] = (
    ("train", "images"),
    ("train", "labels"),
    ("test", "images"),
    ("test", "labels"),
)


class Header(NamedTuple):
    """What a file's header declares: the number of rows, the shape of each, and the type of their values."""

    n_rows: int
    shape: Shape
    dtype: np.dtype[np.generic]


def read(folder: Path, rules: Rules) -> Frames:
    """Read the four files, or only the two of the training part. Error messages name the file and the byte."""
    parts = [_read_part(images, labels, rules) for images, labels in _find_parts(folder)]
    return Frames(parts[0], parts[1] if parts[1:] else None)


def check(folder: Path, rules: InputRules) -> None:
    """Raise InputError unless there is one file for each role, with its header."""
    for files in _find_parts(folder):
        _check_size(files[0], rules)
        for path, content in zip(files, LAYOUTS, strict=True):
            with reading(path) as file:
                _read_header(path, content, file)


def batches(path: Path, rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read the images of a file or, from a folder, of its test part, if it has one, with labels if it has them."""
    images, labels = path, None
    if path.is_dir():
        files = _find_files(path)
        part = next((part for part, content in ROLES[::-1] if content == "images" and (part, content) in files), None)
        if part is None:
            raise InputError(f"{path}: no IDX file of images")
        images = files[part, "images"]
        if labels_file := files.get((part, "labels")):
            labels = _read_labels(labels_file, images, n_rows)
    _check_size(images, rules)
    yield from image_batches(_read_rows(images, "images", n_rows), labels)


def _find_parts(folder: Path) -> list[tuple[Path, Path]]:
    """Return the files of images and labels of the training part and, if there is one, of the test part."""
    files = _find_files(folder)
    roles = ROLES if any(part == "test" for part, _ in files) else ROLES[:2]
    if missing := [" ".join(role) for role in roles if role not in files]:
        raise InputError(f"{folder}: no IDX file of the {' and the '.join(missing)}")
    return [(files[part, "images"], files[part, "labels"]) for part, _ in roles[::2]]


def _find_files(folder: Path) -> dict[tuple[PartName, Content], Path]:
    """Find the files of a folder by part and content; of two with the same bytes, such as a gzipped copy, the first."""
    files: dict[tuple[PartName, Content], Path] = {}
    for path in entries(folder):
        if not (name := IDX_NAME.search(path.name)) or not path.is_file():
            continue
        check_inside(path, folder)
        part: PartName = "train" if name[1].lower() == "train" else "test"
        role: tuple[PartName, Content] = (part, "images" if name[2].lower().startswith("image") else "labels")
        if role not in files:
            files[role] = path
        elif not _are_equal(files[role], path):
            raise InputError(f"{folder}: {files[role].name} and {path.name} both are the {' '.join(role)}, and differ")
    return files


def _are_equal(path: Path, other: Path) -> bool:
    with reading(path), reading(other):
        return have_equal_content(path, other)


def _check_size(path: Path, rules: InputRules) -> None:
    with reading(path) as file:
        check_size(str(path), math.prod(_read_header(path, "images", file).shape), rules)


def _read_part(images: Path, labels_file: Path, rules: Rules) -> pd.DataFrame:
    _check_size(images, rules)
    [pixels] = _read_rows(images, "images", max_mib=rules.max_expanded_mib)
    [labels] = _read_labels(labels_file, images, max_mib=rules.max_expanded_mib)
    return images_to_frame(pixels, labels)


def _read_labels(path: Path, images: Path, n_rows: int | None = None, max_mib: int | None = None) -> Iterator[Array]:
    """Read labels as `_read_rows` does; raise InputError unless there is one for each of the images."""
    n_labels, n_images = _count_rows(path, "labels"), _count_rows(images, "images")
    if n_labels != n_images:
        raise InputError(f"{path}: {n_labels:,} labels for the {n_images:,} images of {images.name}")
    return (rows.reshape(len(rows), -1)[:, 0] for rows in _read_rows(path, "labels", n_rows, max_mib))


def _count_rows(path: Path, content: Content) -> int:
    with reading(path) as file:
        return _read_header(path, content, file).n_rows


def _read_rows(path: Path, content: Content, n_rows: int | None = None, max_mib: int | None = None) -> Iterator[Array]:
    """Read the rows that the header declares, `n_rows` at a time or all at once, and check that no data follows."""
    with reading(path) as file:
        total, shape, dtype = _read_header(path, content, file)
        row_bytes = dtype.itemsize * int(np.prod(shape, dtype=int))
        begin = file.tell()
        check_expanded(path, total * row_bytes, max_mib)
        n_rows = n_rows or max(total, 1)
        for start in range(0, max(total, 1), n_rows):
            expected = min(n_rows, total - start) * row_bytes
            values = _read_up_to(file, expected)
            if len(values) < expected:
                end, needed = begin + start * row_bytes + len(values), begin + total * row_bytes
                raise InputError(f"{path}: ends at byte {end:,}; {total:,} rows need {needed:,}")
            yield np.frombuffer(values, dtype).reshape(-1, *shape)
        if file.read(1):
            raise InputError(f"{path}: goes on after byte {file.tell() - 1:,}, where its {total:,} rows end")


def _read_up_to(file: IO[bytes], n_bytes: int) -> bytearray:
    """Read bytes in pieces: a single read would allocate all that the header declares."""
    content = bytearray()
    while piece := file.read(min(n_bytes - len(content), PIECE_BYTES)):
        content += piece
    return content


def _read_header(path: Path, content: Content, file: IO[bytes]) -> Header:
    """Read and check a header."""
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
    return Header(int(n_rows), tuple(sides), np.dtype(dtype))
