"""Open what a person named: gzipped or not, and no link out of a folder."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING, cast

from schemas.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

GZIP = b"\x1f\x8b"


def opened(path: Path) -> IO[bytes]:
    """Open a file to read what it holds, expanded if it is gzipped, whatever its name."""
    with path.open("rb") as file:
        gzipped = file.read(len(GZIP)) == GZIP
    return cast("IO[bytes]", gzip.open(path, "rb")) if gzipped else path.open("rb")


def check_inside(path: Path, root: Path) -> None:
    """Raise InputError for a link that leads out of a folder, or in a circle."""
    try:
        inside = not path.is_symlink() or path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # which of them is Python's version's to decide
        raise InputError(f"{path}: a link that leads to itself") from error
    if not inside:
        raise InputError(f"{path}: a link that leads out of {root}")


def entries(folder: Path) -> list[Path]:
    """List a folder in the order of names, without what file managers leave."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "Thumbs.db")


def printable(path: Path | str) -> str:
    """Give a path, or what was said of one, as text; a byte that isn't UTF-8 stands as its escape."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def too_large(path: Path, size: int, most_mib: int) -> InputError:
    """Tell that a file holds more bytes, once expanded, than are allowed."""
    return InputError(f"{path}: {size >> 20:,} MiB or more once expanded; --max-expanded-mib allows {most_mib:,}")
