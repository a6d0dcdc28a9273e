"""What tells formats apart from outside: the first bytes of a file, the names in a folder. Imports nothing heavy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from schemas.digits import CLASSES

if TYPE_CHECKING:
    from pathlib import Path

GZIP = b"\x1f\x8b"
NPZ = (b"PK\x03\x04", b"PK\x05\x06")
"""A zip archive, and an empty one."""
PARQUET = b"PAR1"
IDX_IMAGES, IDX_LABELS = b"\0\0\x08\x03", b"\0\0\x08\x01"
PNG, JPEG, BMP = b"\x89PNG", b"\xff\xd8\xff", b"BM"

IDX_NAME = re.compile(r"(train|t10k|test)[-_.]?(images|labels)(?!.*\.(parquet|csv|csv\.gz)$)", re.IGNORECASE)
LABEL_NAMES = tuple(str(label) for label in CLASSES)
PICTURE_PARTS = ("train", "test")


def is_picture(head: bytes) -> bool:
    """Return whether a file begins as a PNG, JPEG or BMP picture does; a text may begin with BMP's two letters, too."""
    return head.startswith((PNG, JPEG)) or (head.startswith(BMP) and not is_text(head))


def is_text(head: bytes) -> bool:
    """Return whether a file begins as a text does."""
    return b"\0" not in head


def has_label_folders(folder: Path) -> bool:
    """Return whether a folder has subfolders named 0 to 9."""
    return any((folder / name).is_dir() for name in LABEL_NAMES)


def is_picture_folder(folder: Path) -> bool:
    """Return whether a folder, or its subfolder `train` or `test`, has subfolders named 0 to 9."""
    return any(map(has_label_folders, (folder, *(folder / part for part in PICTURE_PARTS))))


def is_idx_folder(folder: Path) -> bool:
    """Return whether a folder has a file named as one of the original MNIST's."""
    return any(IDX_NAME.match(path.name) for path in folder.iterdir())
