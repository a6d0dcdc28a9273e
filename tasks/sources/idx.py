"""Read a folder with the original MNIST's IDX files, gzipped or not."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.errors import InputError
from tasks.sources.files import check_inside, opened
from tasks.sources.formats import IDX_IMAGES, IDX_NAME
from tasks.sources.frames import Frames, of_images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    import pandas as pd
    from numpy.typing import NDArray

    from schemas.rules import InputRules, Rules

IMAGES, LABELS = int.from_bytes(IDX_IMAGES, "big"), 0x00000801
HEADER = 8
"""Bytes of the magic number and of the number of rows; those of the sides follow."""
SHAPES = {IMAGES: (SIDE, SIDE), LABELS: ()}
ROLES = (("train", "images"), ("train", "labels"), ("test", "images"), ("test", "labels"))


def files(folder: Path) -> dict[tuple[str, str], Path]:
    """Find the files of a folder by part and content; empty when there are none. Raises InputError for two of one."""
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.iterdir()):
        name = IDX_NAME.match(path.name)
        if name and path.is_file():
            part, content = name.group(1).lower(), name.group(2).lower()
            role = ("test" if part == "t10k" else part, content)
            if role in found:
                raise InputError(f"{folder}: {found[role].name} and {path.name} both are the {role[0]} {content}")
            found[role] = path
    return found


def read(folder: Path, rules: Rules) -> Frames:
    """Give the frames of the four files, or of the two to train on; raise InputError naming file and byte."""
    found = files(folder)
    wanted = ROLES if any(part == "test" for part, _ in found) else ROLES[:2]
    missing = [f"{part} {content}" for part, content in wanted if (part, content) not in found]
    if missing:
        raise InputError(f"{folder}: no IDX file of the {' and the '.join(missing)}")
    for path in found.values():
        check_inside(path, folder)
    frames = [_frame(found[part, "images"], found[part, "labels"], rules) for part, _ in wanted[::2]]
    return Frames(*frames)


def batches(path: Path, _rules: InputRules, rows: int) -> Iterator[pd.DataFrame]:
    """Give the images so many at a time: a single file's or, of a folder, the test part's if it has one, with labels.

    The labels are optional.
    """
    images, labels = path, None
    if path.is_dir():
        found = files(path)
        part = next((part for part in ("test", "train") if (part, "images") in found), None)
        if part is None:
            raise InputError(f"{path}: no IDX file of images")
        images, labels = found[part, "images"], found.get((part, "labels"))
        for file in (images, labels):
            if file is not None:
                check_inside(file, path)
    answers = None
    if labels is not None:
        [answers] = _pieces(labels, LABELS)
        _check_pair(images, labels, answers)
    done = 0
    for pixels in _pieces(images, IMAGES, rows):
        known = None if answers is None else answers[done : done + len(pixels)]
        yield of_images(pixels.reshape(len(pixels), PIXEL_COUNT), known, start=done)
        done += len(pixels)


def _frame(images: Path, labels: Path, rules: Rules) -> pd.DataFrame:
    [pixels] = _pieces(images, IMAGES, most_mib=rules.max_expanded_mib)
    [answers] = _pieces(labels, LABELS, most_mib=rules.max_expanded_mib)
    _check_pair(images, labels, answers)
    return of_images(pixels.reshape(len(pixels), PIXEL_COUNT), answers)


def _check_pair(images: Path, labels: Path, answers: NDArray[np.uint8]) -> None:
    with opened(images) as file:
        rows = _header(images, IMAGES, file)
    if rows != len(answers):
        raise InputError(f"{labels}: {len(answers):,} labels for the {rows:,} images of {images.name}")


def _pieces(
    path: Path, magic: int, rows: int | None = None, most_mib: int | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Read what the header announces, so many rows at a time or all at once, and not a byte more than is allowed."""
    shape = SHAPES[magic]
    size = int(np.prod(shape, dtype=int))
    try:
        with opened(path) as file:
            count = _header(path, magic, file)
            if most_mib is not None and count * size > most_mib << 20:
                raise InputError(
                    f"{path}: {count * size >> 20:,} MiB announced; --max-expanded-mib allows {most_mib:,}"
                )
            done, at_once = 0, rows or max(count, 1)
            for start in range(0, max(count, 1), at_once):
                content = file.read(min(at_once, count - start) * size)
                done += len(content)
                if done < min(start + at_once, count) * size:
                    begin = HEADER + 4 * len(shape)
                    raise InputError(
                        f"{path}: ends at byte {begin + done:,}; {count:,} rows need {begin + count * size:,}"
                    )
                yield np.frombuffer(content, np.uint8).reshape(-1, *shape)
            if file.read(1):
                raise InputError(f"{path}: goes on after byte {file.tell() - 1:,}, where its {count:,} rows end")
    except (OSError, EOFError, zlib.error, MemoryError) as error:
        raise InputError(f"{path}: can't be read ({error})") from error


def _header(path: Path, magic: int, file: IO[bytes]) -> int:
    """Read a header that has to be of the wanted kind; give the number of rows that it announces."""
    shape = SHAPES[magic]
    size = HEADER + 4 * len(shape)
    content = file.read(size)
    if len(content) < size:
        raise InputError(f"{path}: ends at byte {len(content)}, within the header of {size}")
    found, rows, *sides = struct.unpack(f">{2 + len(shape)}I", content)
    if found != magic:
        raise InputError(f"{path}: byte 0: magic number {found:#010x}; {magic:#010x} is needed")
    if tuple(sides) != shape:
        raise InputError(f"{path}: byte 8: images of {' × '.join(map(str, sides))}; 28 × 28 are needed")
    return int(rows)
