"""Read IDX files, the original MNIST's format, gzipped or not: a folder of them, or a single file of images."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.digits import SIDE
from schemas.errors import InputError
from schemas.rules import InputRules, Rules
from tasks.sources.files import IDX_IMAGES, IDX_LABELS, IDX_NAME, check_expanded, check_inside, reading
from tasks.sources.frames import Frames, image_batches, images_to_frame

IMAGES, LABELS = (int.from_bytes(magic, "big") for magic in (IDX_IMAGES, IDX_LABELS))
SHAPES: dict[int, tuple[int, ...]] = {IMAGES: (SIDE, SIDE), LABELS: ()}
ROLES = (("train", "images"), ("train", "labels"), ("test", "images"), ("test", "labels"))


def read(folder: Path, rules: Rules) -> Frames:
    """Read the four files, or only the two of the training part. Error messages name the file and the byte."""
    return Frames(*(_read_part(images, labels, rules) for images, labels in _find_parts(folder)))


def check(folder: Path, _rules: InputRules) -> None:
    """Raise InputError unless there is one file for each role, with its header."""
    for files in _find_parts(folder):
        for path, magic in zip(files, (IMAGES, LABELS), strict=True):
            with reading(path) as file:
                _read_header(path, magic, file)


def batches(path: Path, _rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read the images of a file or, from a folder, of its test part, if it has one, with labels if it has them."""
    images, labels = path, None
    if path.is_dir():
        files = _find_files(path)
        part = next((part for part in ("test", "train") if (part, "images") in files), None)
        if part is None:
            raise InputError(f"{path}: no IDX file of images")
        images = files[part, "images"]
        if labels_file := files.get((part, "labels")):
            labels = _read_labels(labels_file, images)
    yield from image_batches(_read_rows(images, IMAGES, n_rows), labels)


def _find_parts(folder: Path) -> list[tuple[Path, Path]]:
    """Return the files of images and labels of the training part and, if there is one, of the test part."""
    files = _find_files(folder)
    roles = ROLES if any(part == "test" for part, _ in files) else ROLES[:2]
    if missing := [" ".join(role) for role in roles if role not in files]:
        raise InputError(f"{folder}: no IDX file of the {' and the '.join(missing)}")
    return [(files[part, "images"], files[part, "labels"]) for part, _ in roles[::2]]


def _find_files(folder: Path) -> dict[tuple[str, str], Path]:
    """Find the files of a folder by part and content."""
    files: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.iterdir()):
        if (name := IDX_NAME.match(path.name)) and path.is_file():
            part, content = name[1].lower(), name[2].lower()
            role = ("test" if part == "t10k" else part, content)
            if role in files:
                raise InputError(f"{folder}: {files[role].name} and {path.name} both are the {role[0]} {content}")
            check_inside(path, folder)
            files[role] = path
    return files


def _read_part(images: Path, labels_file: Path, rules: Rules) -> pd.DataFrame:
    [pixels] = _read_rows(images, IMAGES, max_mib=rules.max_expanded_mib)
    return images_to_frame(pixels, _read_labels(labels_file, images, rules.max_expanded_mib))


def _read_labels(path: Path, images: Path, max_mib: int | None = None) -> NDArray[np.uint8]:
    """Read all labels; raise InputError unless there is one for each of the images."""
    [labels] = _read_rows(path, LABELS, max_mib=max_mib)
    with reading(images) as file:
        n_images = _read_header(images, IMAGES, file)
    if n_images != len(labels):
        raise InputError(f"{path}: {len(labels):,} labels for the {n_images:,} images of {images.name}")
    return labels


def _read_rows(
    path: Path, magic: int, n_rows: int | None = None, max_mib: int | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Read the rows that the header declares, `n_rows` at a time or all at once, and check that no data follows."""
    shape = SHAPES[magic]
    row_bytes = int(np.prod(shape, dtype=int))
    with reading(path) as file:
        total = _read_header(path, magic, file)
        begin = file.tell()
        check_expanded(path, total * row_bytes, max_mib)
        n_rows = n_rows or max(total, 1)
        for start in range(0, max(total, 1), n_rows):
            expected = min(n_rows, total - start) * row_bytes
            content = file.read(expected)
            if len(content) < expected:
                end, needed = begin + start * row_bytes + len(content), begin + total * row_bytes
                raise InputError(f"{path}: ends at byte {end:,}; {total:,} rows need {needed:,}")
            yield np.frombuffer(content, np.uint8).reshape(-1, *shape)
        if file.read(1):
            raise InputError(f"{path}: goes on after byte {file.tell() - 1:,}, where its {total:,} rows end")


def _read_header(path: Path, magic: int, file: IO[bytes]) -> int:
    """Check a header; return the number of rows that it declares."""
    shape = SHAPES[magic]
    size = 4 * (2 + len(shape))
    content = file.read(size)
    if len(content) < size:
        raise InputError(f"{path}: ends at byte {len(content)}, within the header of {size}")
    actual_magic, n_rows, *sides = struct.unpack(f">{2 + len(shape)}I", content)
    if actual_magic != magic:
        raise InputError(f"{path}: byte 0: expected the magic number {magic:#010x}, got {actual_magic:#010x}")
    if tuple(sides) != shape:
        raise InputError(f"{path}: byte 8: expected images of 28 × 28, got {' × '.join(map(str, sides))}")
    return int(n_rows)
