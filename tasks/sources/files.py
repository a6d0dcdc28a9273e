"""Recognise, open and list the files of a source. Imports no slow library."""

from __future__ import annotations

import bz2
import codecs
import errno
import gzip
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from stat import S_ISREG
from typing import IO, NamedTuple, cast

from schemas.digits import CLASSES
from schemas.errors import InputError, first_line

GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ"
EXPANDERS: dict[bytes, Callable[[Path, str], object]] = {GZIP: gzip.open, BZIP2: bz2.open, XZ: lzma.open}
ZIP, EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"
NPY = b"\x93NUMPY"
PARQUET = b"PAR1"
ARROW, ARROW_STREAM = b"ARROW1", b"\xff\xff\xff\xff"
MAT, HDF5 = b"MATLAB 5.0 MAT-file", b"\x89HDF\r\n\x1a\n"
ARFF = re.compile(rb"\s*(%|@relation\s)", re.IGNORECASE)
LIBSVM = re.compile(rb"\s*[-+]?\d+(\.\d*)?([eE][-+]?\d+)?([ \t]+\d+:[-+.\deE]+)+\s")
IDX_IMAGES, IDX_LABELS = b"\0\0\x08\x03", b"\0\0\x08\x01"

IDX_NAME = re.compile(r"(?<![a-z])(train|t10k|test)[-_.]?(images?|labels?)[-_.]idx", re.IGNORECASE)
"""Names of the original MNIST's files, and of others with a prefix: `qmnist-train-labels-idx2-int.gz`."""
DIGIT_NAMES = tuple(str(label) for label in CLASSES)
SYSTEM_ENTRIES = {"Thumbs.db", "desktop.ini", "__MACOSX"}

HEAD = 1024
"""Number of first bytes by which a file's format is recognised."""
PIECE_BYTES = 1 << 20
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""Errors of reading a damaged file, and of the operating system."""
MAX_RATIO = 1032
"""Bytes that a byte of deflated data expands to at most; no format of images packs them better."""


class InputFile(NamedTuple):
    """A file of images; `name` is the first part of their names, `label` that of a picture in a folder of labels."""

    name: str
    path: Path
    label: int | None = None


def starts(*magic: bytes) -> Callable[[bytes], bool]:
    """Return a function that checks for one of several first bytes."""
    return lambda head: head.startswith(magic)


def is_text(head: bytes) -> bool:
    """Check whether a file's first bytes are text, in UTF-16 only after a byte order mark."""
    return b"\0" not in head or head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def has_label_folders(folder: Path) -> bool:
    """Return whether a folder has subfolders named 0 to 9."""
    return any((folder / name).is_dir() for name in DIGIT_NAMES)


def is_idx_folder(folder: Path) -> bool:
    """Check whether a folder has a file named like one of the original MNIST's."""
    return any(IDX_NAME.search(path.name) for path in entries(folder))


def npy_files(folder: Path) -> list[Path]:
    """Return the `.npy` files of a folder."""
    return [path for path in entries(folder) if path.suffix.lower() == ".npy"]


def is_hdf5(head: bytes) -> bool:
    """Check for the first bytes of HDF5; MATLAB writes 512 bytes of its own before them."""
    return head.startswith(HDF5) or head[512:].startswith(HDF5)


def is_npz(head: bytes) -> bool:
    """Check whether first bytes are those of a zip archive whose first member is an array of NumPy's."""
    name_length = int.from_bytes(head[26:28], "little")
    return head.startswith(ZIP) and head[30 : 30 + name_length].endswith(b".npy")


def is_archive(head: bytes) -> bool:
    """Check whether first bytes are those of a zip or tar archive."""
    return head.startswith((ZIP, EMPTY_ZIP)) or head[257:262] == b"ustar"


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading; raise InputError for a pipe or a device, whose end may never come."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # else opening a pipe would wait for a writer
    if S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise InputError(f"{path}: {unsuitable(path)}; a file is needed")


def is_compressed(path: Path) -> bool:
    """Check whether a file is compressed by gzip, bzip2 or xz, by its content."""
    return _find_expander(path) is not None


def open_expanded(path: Path) -> IO[bytes]:
    """Open a file for reading, expanded if it is compressed."""
    expander = _find_expander(path)
    return cast("IO[bytes]", expander(path, "rb")) if expander else open_regular(path)


def _find_expander(path: Path) -> Callable[[Path, str], object] | None:
    with open_regular(path) as file:
        start = file.read(len(XZ))
    return next((expander for magic, expander in EXPANDERS.items() if start.startswith(magic)), None)


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


def check_declared(name: str, n_bytes: int, declared: int, unit: str, per_byte: int = MAX_RATIO) -> None:
    """Raise InputError if a file's header declares more than its bytes can hold, at `per_byte` a byte."""
    if declared > n_bytes * per_byte:
        raise InputError(f"{name}: its header declares {declared:,} {unit}, more than {n_bytes:,} bytes can hold")


def check_inside(path: Path, root: Path) -> None:
    """Raise InputError for a link that leads out of a folder or to itself."""
    if not path.is_symlink():
        return
    if _is_loop(path):
        raise InputError(f"{path}: a link that leads to itself")
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{path}: a link that leads out of {root}")


def _is_loop(path: Path) -> bool:
    """Check whether a link leads to itself; `Path.resolve` notices that in some versions of Python only."""
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def entries(folder: Path) -> list[Path]:
    """Return a folder's entries, sorted by name, without hidden ones and those that systems leave behind."""
    return sorted(path for path in folder.iterdir() if not is_hidden(path.name))


def is_hidden(name: str) -> bool:
    """Check whether a file or folder is hidden, or was left by a system: `._digits.csv`, Thumbs.db, __MACOSX."""
    return name.startswith(".") or name in SYSTEM_ENTRIES


def unsuitable(path: Path) -> str:
    """Return what a path is that isn't a file."""
    if not path.exists():
        return "a broken link"
    return "a folder" if path.is_dir() else "a pipe or a device"


@contextmanager
def listing(folder: Path) -> Iterator[None]:
    """Raise InputError if a folder or a subfolder can't be listed."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{error.filename or folder}: {unreadable(error)}") from error


def unreadable(error: OSError) -> str:
    """Return why a path can't be read."""
    missing = isinstance(error, FileNotFoundError)
    return "no such file or folder" if missing else f"can't be read ({error.strerror})"
