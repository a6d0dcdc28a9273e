"""Recognise, open and list the files of a source. Imports no slow library."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from schemas.digits import CLASSES
from schemas.errors import InputError, first_line

GZIP = b"\x1f\x8b"
NPZ = (b"PK\x03\x04", b"PK\x05\x06")
"""A zip archive, and an empty one."""
PARQUET = b"PAR1"
IDX_IMAGES, IDX_LABELS = b"\0\0\x08\x03", b"\0\0\x08\x01"
PNG, JPEG, BMP = b"\x89PNG", b"\xff\xd8\xff", b"BM"

IDX_NAME = re.compile(r"(train|t10k|test)[-_.]?(images|labels)(?!.*\.(parquet|csv|csv\.gz)$)", re.IGNORECASE)
LABEL_NAMES = tuple(str(label) for label in CLASSES)
PICTURE_PARTS = ("train", "test")

DAMAGED = (OSError, EOFError, zlib.error)
"""Errors of reading a damaged file, and of the operating system."""


def is_picture(head: bytes) -> bool:
    """Check whether a file's first bytes are those of a PNG, JPEG or BMP picture; text may also begin with "BM"."""
    return head.startswith((PNG, JPEG)) or (head.startswith(BMP) and not is_text(head))


def is_text(head: bytes) -> bool:
    """Check whether a file's first bytes are text."""
    return b"\0" not in head


def has_label_folders(folder: Path) -> bool:
    """Return whether a folder has subfolders named 0 to 9."""
    return any((folder / name).is_dir() for name in LABEL_NAMES)


def is_picture_folder(folder: Path) -> bool:
    """Return whether a folder, or its subfolder `train` or `test`, has subfolders named 0 to 9."""
    return any(map(has_label_folders, (folder, *(folder / part for part in PICTURE_PARTS))))


def is_idx_folder(folder: Path) -> bool:
    """Check whether a folder has a file named like one of the original MNIST's."""
    return any(IDX_NAME.match(path.name) for path in folder.iterdir())


def is_gzipped(path: Path) -> bool:
    """Check whether a file is gzipped, by its content."""
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def open_expanded(path: Path) -> IO[bytes]:
    """Open a file for reading, expanded if it is gzipped."""
    return cast("IO[bytes]", gzip.open(path, "rb")) if is_gzipped(path) else path.open("rb")


@contextmanager
def reading(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, expanded if it is gzipped; raise InputError when it can't be read to its end."""
    try:
        with open_expanded(path) as file:
            yield file
    except (*DAMAGED, MemoryError) as error:
        raise InputError(f"{path}: can't be read ({first_line(error)})") from error


def check_expanded(path: Path, n_bytes: int, max_mib: int | None) -> None:
    """Raise InputError if a file's expanded size exceeds `--max-expanded-mib` (None: no limit)."""
    if max_mib is not None and n_bytes > max_mib << 20:
        raise InputError(f"{path}: {n_bytes >> 20:,} MiB or more once expanded; --max-expanded-mib allows {max_mib:,}")


def check_inside(path: Path, root: Path) -> None:
    """Raise InputError for a link that leads out of a folder or to itself."""
    try:
        inside = not path.is_symlink() or path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # Python 3.13 raises the first, earlier ones the second
        raise InputError(f"{path}: a link that leads to itself") from error
    if not inside:
        raise InputError(f"{path}: a link that leads out of {root}")


def entries(folder: Path) -> list[Path]:
    """Return a folder's entries, sorted by name, without hidden files and Thumbs.db."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "Thumbs.db")


def unreadable(error: OSError) -> str:
    """Return why a path can't be read."""
    missing = isinstance(error, FileNotFoundError)
    return "no such file or folder" if missing else f"can't be read ({error.strerror})"
