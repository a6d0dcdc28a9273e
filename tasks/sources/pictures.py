"""Read pictures, or a folder with a subfolder for each label, and normalise pictures of digits as MNIST's are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from schemas.counts import count
from schemas.errors import InputError, first_line, missing_extra
from schemas.rules import InputRules, Rules
from schemas.text import printable
from tasks.sources.files import (
    DIGIT_NAMES,
    HEAD,
    MAX_RATIO,
    InputFile,
    check_declared,
    check_inside,
    entries,
    has_label_folders,
    listing,
    open_regular,
    unreadable,
    unsuitable,
)
from tasks.sources.foreign import describe_head
from tasks.sources.frames import Frames, images_to_frame
from tasks.sources.normalization import SeveralDigitsError, normalize
from tasks.sources.parts import PartName, choose_parts, is_ignored, note_left_out, part_folders
from tasks.sources.picture_formats import HEIC, NAMES, PILLOW_NAMES

PREDICTED_PARTS: tuple[PartName, ...] = ("test", "train", "validation")
MAX_PIXELS_PER_BYTE = 8 * MAX_RATIO
"""Of one bit each, in a PNG."""


def read(folder: Path, rules: Rules) -> Frames:
    """Read all pictures of a folder, or those of its subfolders `train` and `test`; the index holds their names."""
    train, test, notes = _list_parts(folder)
    train_frame, several = _read_single(train, rules)
    test_frame, more = _read_single(test, rules) if test is not None else (None, [])
    return Frames(train_frame, test_frame, notes + note_left_out([*several, *more], "several digits", "picture"))


def check(folder: Path, rules: InputRules) -> None:
    """Raise InputError for anything but pictures in subfolders named after their labels; opens only the first."""
    train, _test, _notes = _list_parts(folder)
    with suppress(SeveralDigitsError):  # reading leaves it out
        read_picture(train[0].path, rules)


def list_images(folder: Path) -> list[InputFile]:
    """List the pictures of a folder to predict on: those of its test part if it has one."""
    with listing(folder):
        parts = _parts(folder)
        pictures, _ = _list(folder, next(parts[name] for name in PREDICTED_PARTS if name in parts))
    return pictures


def batches_of(
    pictures: Iterable[InputFile],
    rules: InputRules,
    n_rows: int,
    on_fault: Callable[[InputFile, InputError], pd.DataFrame | None],
) -> Iterator[pd.DataFrame]:
    """Read pictures; `on_fault` returns a frame in place of a bad one, or None, or raises."""
    good: list[InputFile] = []
    pixels: list[NDArray[np.uint8]] = []
    for picture in pictures:  # threads take twice the time
        replacement = None
        try:
            pixels.append(read_picture(picture.path, rules))
            good.append(picture)
        except InputError as error:
            replacement = on_fault(picture, error)
        if good and (replacement is not None or len(good) == n_rows):
            yield _to_frame(good, pixels)
            good, pixels = [], []
        if replacement is not None:
            yield replacement
    if good:
        yield _to_frame(good, pixels)


def _parts(folder: Path) -> dict[PartName, Path]:
    if has_label_folders(folder):
        return {"train": folder}
    found: dict[PartName, Path] = {}
    for part, root in part_folders(folder):
        if has_label_folders(root) and found.setdefault(part, root) != root:
            raise InputError(f"{folder}: {found[part].name} and {root.name} are both the {part} part; merge them")
    return found


def _list_parts(folder: Path) -> tuple[list[InputFile], list[InputFile] | None, tuple[str, ...]]:
    """Return the pictures to train on and, if there are some, those to test with, and notes."""
    with listing(folder):
        parts = _parts(folder)
        listed = {part: _list(folder, path) for part, path in parts.items()}
        unread = [printable(entry.name) for entry in entries(folder) if not _holds(entry, parts.values())]
    pictures = {part: found for part, (found, _) in listed.items()}
    train, test, notes = choose_parts(pictures, {part: count(len(found), "row") for part, found in pictures.items()})
    ignored = [name for _, names in listed.values() for name in names]
    notes += note_left_out(ignored, "no pictures") + note_left_out(unread, "of no part", "other")
    return train, test, notes


def _holds(entry: Path, roots: Iterable[Path]) -> bool:
    """Check whether an entry of a source holds, or is in, one of the folders that are read."""
    return is_ignored(entry) or any(root.is_relative_to(entry) or entry.is_relative_to(root) for root in roots)


def _list(root: Path, folder: Path) -> tuple[list[InputFile], list[str]]:
    """List the pictures in a folder's subfolders, and the files that aren't data.

    Raises InputError for a subfolder that isn't a label, and for a link out of the root.
    """
    pictures: list[InputFile] = []
    ignored: list[str] = []
    for entry in sorted(folder.iterdir()):
        if is_ignored(entry) or not entry.is_dir():
            ignored += [printable(entry.relative_to(root))]
            continue
        check_inside(entry, root)
        if entry.name not in DIGIT_NAMES:
            raise InputError(f"{entry}: not a label; expected subfolders named 0 to 9")
        for path in sorted(entry.iterdir()):
            name = printable(path.relative_to(root))
            if is_ignored(path):
                ignored.append(name)
                continue
            check_inside(path, root)
            if not path.is_file():
                raise InputError(f"{path}: {unsuitable(path)}; expected pictures")
            pictures.append(InputFile(name, path, int(entry.name)))
    if not pictures:
        raise InputError(f"{folder}: no pictures; expected {NAMES} in subfolders named 0 to 9")
    return pictures, ignored


def _read_single(pictures: Sequence[InputFile], rules: InputRules) -> tuple[pd.DataFrame, list[str]]:
    """Read pictures for a training; also return the names of those that are left out, as they hold several digits."""
    several = []

    def leave_out(picture: InputFile, error: InputError) -> None:
        if not isinstance(error, SeveralDigitsError):
            raise error
        several.append(picture.name)

    frames = list(batches_of(pictures, rules, len(pictures), leave_out))
    if not frames:
        raise InputError(f"{pictures[0].path.parent}: all pictures hold several digits; crop one per picture")
    return frames[0], several


def _to_frame(pictures: Sequence[InputFile], pixels: Sequence[NDArray[np.uint8]]) -> pd.DataFrame:
    labels = [picture.label for picture in pictures if picture.label is not None]
    index = pd.Index([picture.name for picture in pictures])
    return images_to_frame(np.stack(pixels), np.array(labels, np.uint8) if labels else None, index)


def read_picture(path: Path, rules: InputRules) -> NDArray[np.uint8]:
    """Read a picture of any size and colour as 28 × 28."""
    try:
        with open_regular(path) as file:
            return decode_picture(file, str(path), rules)
    except OSError as error:
        raise InputError(f"{path}: {unreadable(error)}") from error


def decode_picture(file: IO[bytes], name: str, rules: InputRules) -> NDArray[np.uint8]:
    """Decode a picture as 28 × 28, an animation's first frame.

    Raises InputError, with a message that begins with its name, if it can't be, and for several pages or digits.
    """
    n_bytes = file.seek(0, os.SEEK_END)
    formats = _pillow_formats(file, name)
    try:
        with Image.open(file, formats=formats) as picture:
            check_declared(name, n_bytes, picture.width * picture.height, "pixels", MAX_PIXELS_PER_BYTE)
            _check_size(picture, name, rules)
            ImageOps.exif_transpose(picture, in_place=True)
            brightness = _to_grey(picture)
    except InputError:
        raise
    except Exception as error:  # damaged content makes Pillow's decoders raise many kinds
        reason = _content(file) if isinstance(error, UnidentifiedImageError) else first_line(error)
        raise InputError(f"{name}: not a readable {NAMES} picture ({reason})") from error
    try:
        return normalize(brightness)
    except SeveralDigitsError as error:
        raise SeveralDigitsError(f"{name}: {error}") from error


def _pillow_formats(file: IO[bytes], name: str) -> list[str]:
    """Return the formats to open a picture as; raise InputError for a HEIC one if its reader isn't installed."""
    file.seek(0)
    if not HEIC.matches(file.read(HEAD)):
        return PILLOW_NAMES
    try:
        import pillow_heif
    except ImportError as error:
        raise missing_extra(f"{name}: a HEIC picture", "pillow-heif") from error
    pillow_heif.register_heif_opener()
    return [HEIC.pillow]


def _check_size(picture: Image.Image, name: str, rules: InputRules) -> None:
    if picture.width * picture.height > rules.max_picture_pixels:
        size = f"{picture.width:,} × {picture.height:,}"
        raise InputError(f"{name}: {size} pixels; --max-picture-pixels allows {rules.max_picture_pixels:,}")
    n_pages = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
    if n_pages > 1:
        raise InputError(f"{name}: holds {n_pages} pages; save each as a picture")


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return describe_head(file.read(HEAD)) or "unknown content"


def _to_grey(picture: Image.Image) -> NDArray[np.float32]:
    """Return brightness, 0 to 255; the transparent background of bright ink becomes black, that of dark ink white."""
    if picture.mode in {"I", "F"} or picture.mode.startswith("I;16"):  # usually 16 bits per pixel
        values = np.asarray(picture, np.float32)
        return values * np.float32(1 / 257 if values.max() > 255 else 1)  # noqa: PLR2004, 65535 becomes 255
    if not picture.has_transparency_data:
        return np.asarray(picture if picture.mode == "L" else picture.convert("L"), np.float32)
    both = np.asarray(picture.convert("LA"), np.float32)
    brightness, opacity = both[..., 0], both[..., 1] / 255
    ink = float((brightness * opacity).sum() / max(float(opacity.sum()), 1.0))
    background = 0.0 if ink > 127 else 255.0  # noqa: PLR2004, half of 255
    return np.asarray(background + (brightness - background) * opacity, np.float32)
