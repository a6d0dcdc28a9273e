"""Read `.npz` files in Keras' layout, `x_train, y_train, x_test, y_test`, or with `x, y` alone. Never unpickles."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.errors import InputError
from tasks.sources.frames import Frames, of_images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    import pandas as pd
    from numpy.typing import NDArray

    from schemas.rules import InputRules, Rules

TRAIN, TEST, SINGLE_WORKER = ("x_train", "y_train"), ("x_test", "y_test"), ("x", "y")
TO_TRAIN: tuple[tuple[tuple[str, str], ...], ...] = ((TRAIN, TEST), (TRAIN,), (SINGLE_WORKER,))
"""Pairs of arrays, images and labels, the first of them that a file has."""
TO_PREDICT = (TEST, TEST[:1], SINGLE_WORKER, SINGLE_WORKER[:1], TRAIN, TRAIN[:1])
"""Likewise, of a file that need not have labels."""
SHAPES = {(SIDE, SIDE), (SIDE, SIDE, 1), (PIXEL_COUNT,)}
NUMBERS = "biuf"


def read(path: Path, rules: Rules) -> Frames:
    """Give the file's frames; raise InputError naming the array that doesn't fit."""
    with _members(path) as (archive, stored):
        wanted = next((pairs for pairs in TO_TRAIN if {name for pair in pairs for name in pair} <= set(stored)), None)
        if wanted is None:
            raise InputError(f"{path}: no arrays x_train, y_train, x_test, y_test, or x, y; found {_told(stored)}")
        _check_size(path, [archive.getinfo(stored[name]) for pair in wanted for name in pair], rules)
        frames = []
        for images, answers in wanted:
            pixels, labels = (_array(path, archive, stored[name]) for name in (images, answers))
            _check_shapes(path, (images, answers), pixels.shape, labels.shape)
            frames.append(of_images(pixels.reshape(len(labels), PIXEL_COUNT), labels.reshape(-1)))
    return Frames(*frames)


def batches(path: Path, _rules: InputRules, rows: int) -> Iterator[pd.DataFrame]:
    """Give the test part's rows, or all where there is just one part, so many at a time, with labels if there are any.

    A file with a single array need not call it anything.
    """
    with _members(path) as (archive, stored):
        alone = tuple(stored) if len(stored) == 1 else SINGLE_WORKER[:1]
        names = next((names for names in (*TO_PREDICT, alone) if set(names) <= set(stored)), None)
        if names is None:
            raise InputError(f"{path}: no array x_test, x or x_train; found {_told(stored)}")
        with archive.open(stored[names[0]]) as file:
            header = _header(path, archive, stored[names[0]], file)
            labels = None
            if names[1:]:
                with archive.open(stored[names[1]]) as other:  # before any of it is read
                    _check_shapes(path, names, header.shape, _header(path, archive, stored[names[1]], other).shape)
                labels = _array(path, archive, stored[names[1]]).reshape(-1)
            elif header.shape[1:] not in SHAPES:
                raise InputError(f"{path}: {names[0]} is {header.shape}; (rows, 28, 28) is needed")
            done = 0
            for pixels in _pieces(path, archive, stored[names[0]], file, header, rows):
                answers = None if labels is None else labels[done : done + len(pixels)]
                yield of_images(pixels.reshape(len(pixels), PIXEL_COUNT), answers, start=done)
                done += len(pixels)


@contextmanager
def _members(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, str]]]:
    """Open a file; give its arrays' members by name."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive, {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError, EOFError, OSError, RuntimeError) as error:
        raise InputError(f"{path}: not a readable .npz file ({error})") from error


def _told(stored: dict[str, str]) -> str:
    return ", ".join(sorted(stored)[:8]) or "none"


def _check_size(path: Path, members: list[zipfile.ZipInfo], rules: Rules) -> None:
    # zipfile gives no more than a member's stated size, so that this is a bound on what is read.
    expanded = sum(member.file_size for member in members)
    if expanded > rules.max_expanded_mib << 20:
        raise InputError(
            f"{path}: {expanded >> 20:,} MiB once expanded; --max-expanded-mib allows {rules.max_expanded_mib:,}"
        )


class _Header(NamedTuple):
    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype[np.generic]


def _header(path: Path, archive: zipfile.ZipFile, member: str, file: IO[bytes]) -> _Header:
    """Read a header that announces just what the member holds: NumPy would allocate whatever it says."""
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"{member} is of version {version} of the .npy format")
    header = _Header(*readers[version](file))
    if header.dtype.kind not in NUMBERS:
        kind = "pickled objects" if header.dtype.hasobject else f"{header.dtype}"
        raise InputError(f"{path}: {member} holds {kind}; numbers are needed")
    announced = header.dtype.itemsize * int(np.prod([*header.shape, 1], dtype=object))
    held = archive.getinfo(member).file_size - file.tell()
    if announced != held:
        raise ValueError(f"{member} announces {announced:,} bytes and holds {held:,}")
    return header


def _array(path: Path, archive: zipfile.ZipFile, member: str) -> NDArray[np.generic]:
    with archive.open(member) as file:
        _header(path, archive, member, file)
    with archive.open(member) as file:
        array: NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _pieces(  # noqa: PLR0913, an array within a file
    path: Path, archive: zipfile.ZipFile, member: str, file: IO[bytes], header: _Header, rows: int
) -> Iterator[NDArray[np.generic]]:
    """Give an array's rows so many at a time; of one stored column by column all are read at once."""
    count = header.shape[0]
    whole = _array(path, archive, member) if header.by_column else None
    for start in range(0, max(count, 1), rows):
        shape = (min(rows, count - start), *header.shape[1:])
        if whole is not None:
            yield whole[start : start + rows]
        else:
            content = file.read(header.dtype.itemsize * int(np.prod(shape)))
            yield np.frombuffer(content, header.dtype).reshape(shape)


def _check_shapes(path: Path, names: tuple[str, ...], pixels: tuple[int, ...], labels: tuple[int, ...]) -> None:
    """Raise InputError, naming the arrays, unless there is one label an image."""
    one_each = labels in {pixels[:1], (*pixels[:1], 1)}  # the second as Keras' cifar10 has them
    if not one_each or pixels[1:] not in SHAPES:
        raise InputError(
            f"{path}: {names[0]} is {pixels} and {names[1]} {labels}; (rows, 28, 28) and (rows,) are needed"
        )
