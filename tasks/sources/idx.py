"""Read a folder with the original MNIST's IDX files, gzipped or not."""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.errors import InputError
from tasks.sources.catalogue import GZIP, IDX_NAME
from tasks.sources.frames import Frames, of_images
from tasks.sources.links import check_inside

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from schemas.rules import Rules

IMAGES, LABELS = 0x00000803, 0x00000801
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


def _frame(images: Path, labels: Path, rules: Rules) -> pd.DataFrame:
    pixels = _read(images, IMAGES, (SIDE, SIDE), rules)
    answers = _read(labels, LABELS, (), rules)
    if len(pixels) != len(answers):
        raise InputError(f"{labels}: {len(answers):,} labels for the {len(pixels):,} images of {images.name}")
    return of_images(pixels.reshape(len(pixels), PIXEL_COUNT), answers)


def _read(path: Path, magic: int, shape: tuple[int, ...], rules: Rules) -> NDArray[np.uint8]:
    """Read what the header announces, and not a byte more than is allowed."""
    fields = 2 + len(shape)
    try:
        with path.open("rb") as plain:
            gzipped = plain.read(len(GZIP)) == GZIP
        with gzip.open(path, "rb") if gzipped else path.open("rb") as file:
            header = file.read(4 * fields)
            if len(header) < 4 * fields:
                raise InputError(f"{path}: ends at byte {len(header)}, within the header of {4 * fields}")
            found, rows, *sides = struct.unpack(f">{fields}I", header)
            if found != magic:
                raise InputError(f"{path}: byte 0: magic number {found:#010x}; {magic:#010x} is needed")
            if tuple(sides) != shape:
                raise InputError(f"{path}: byte 8: images of {' × '.join(map(str, sides))}; 28 × 28 are needed")
            size = rows * int(np.prod(shape, dtype=int))
            if size > rules.max_expanded_mib << 20:
                raise InputError(
                    f"{path}: {size >> 20:,} MiB announced; --max-expanded-mib allows {rules.max_expanded_mib:,}"
                )
            content = file.read(size)
            more = file.read(1)
    except (OSError, EOFError, zlib.error, MemoryError) as error:
        raise InputError(f"{path}: can't be read ({error})") from error
    if len(content) < size:
        end = len(header) + len(content)
        raise InputError(f"{path}: ends at byte {end:,}; {rows:,} rows need {len(header) + size:,}")
    if more:
        raise InputError(f"{path}: goes on after byte {len(header) + size:,}, where its {rows:,} rows end")
    return np.frombuffer(content, np.uint8).reshape(rows, *shape)
