"""Read `.npz` files in Keras' layout, `x_train, y_train, x_test, y_test`, or with `x, y` alone. Never unpickles."""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.errors import InputError
from tasks.sources.frames import Frames, of_images

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from schemas.rules import Rules

WHOLE, TRAINING, ALONE = ("x_train", "y_train", "x_test", "y_test"), ("x_train", "y_train"), ("x", "y")
SHAPES = {(SIDE, SIDE), (SIDE, SIDE, 1), (PIXEL_COUNT,)}
NUMBERS = "biuf"


def read(path: Path, rules: Rules) -> Frames:
    """Give the file's frames; raise InputError naming the array that doesn't fit."""
    try:
        with zipfile.ZipFile(path) as archive:
            stored = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
            wanted = next((names for names in (WHOLE, TRAINING, ALONE) if set(names) <= set(stored)), None)
            if wanted is None:
                found = ", ".join(sorted(stored)[:8]) or "none"
                raise InputError(f"{path}: no arrays {', '.join(WHOLE)}, or x, y; found {found}")
            _check_size(path, [archive.getinfo(stored[name]) for name in wanted], rules)
            arrays = [_array(path, archive, stored[name]) for name in wanted]
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError, EOFError, OSError, RuntimeError) as error:
        raise InputError(f"{path}: not a readable .npz file ({error})") from error
    return Frames(*(_frame(path, wanted[at : at + 2], arrays[at], arrays[at + 1]) for at in range(0, len(arrays), 2)))


def _check_size(path: Path, members: list[zipfile.ZipInfo], rules: Rules) -> None:
    # zipfile gives no more than a member's stated size, so that this is a bound on what is read.
    expanded = sum(member.file_size for member in members)
    if expanded > rules.max_expanded_mib << 20:
        raise InputError(
            f"{path}: {expanded >> 20:,} MiB once expanded; --max-expanded-mib allows {rules.max_expanded_mib:,}"
        )


def _array(path: Path, archive: zipfile.ZipFile, member: str) -> NDArray[np.generic]:
    """Read an array whose header announces just what the member holds: NumPy would allocate whatever it says."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        headers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        if version not in headers:
            raise ValueError(f"{member} is of version {version} of the .npy format")
        shape, _, dtype = headers[version](file)
        if dtype.kind not in NUMBERS:
            kind = "pickled objects" if dtype.hasobject else f"{dtype}"
            raise InputError(f"{path}: {member} holds {kind}; numbers are needed")
        announced = dtype.itemsize * int(np.prod([*shape, 1], dtype=object))
        held = archive.getinfo(member).file_size - file.tell()
        if announced != held:
            raise ValueError(f"{member} announces {announced:,} bytes and holds {held:,}")
    with archive.open(member) as file:
        array: NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _frame(
    path: Path, names: tuple[str, ...], pixels: NDArray[np.generic], labels: NDArray[np.generic]
) -> pd.DataFrame:
    if labels.ndim == 2 and labels.shape[1] == 1:  # noqa: PLR2004, as Keras' cifar10 has them
        labels = labels[:, 0]
    if labels.ndim != 1 or pixels.shape[:1] != labels.shape or pixels.shape[1:] not in SHAPES:
        raise InputError(
            f"{path}: {names[0]} is {pixels.shape} and {names[1]} {labels.shape}; (rows, 28, 28) and (rows,) are needed"
        )
    return of_images(pixels.reshape(len(labels), PIXEL_COUNT), labels)
