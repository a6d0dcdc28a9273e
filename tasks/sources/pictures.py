"""Read pictures, or a folder with a subfolder for each label, and normalise pictures of digits as MNIST's are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from schemas.digits import SIDE
from schemas.errors import InputError, first_line
from schemas.rules import InputRules, Rules
from schemas.text import printable
from tasks.sources.files import LABEL_NAMES, PICTURE_PARTS, check_inside, entries, has_label_folders
from tasks.sources.frames import Frames, images_to_frame

PILLOW_FORMATS = ("PNG", "JPEG", "BMP")
BOX = 20
"""Side of the square that MNIST's digits were scaled to."""
CENTRE = SIDE // 2
INK = 0.1
"""Share of the maximum ink above which a pixel counts towards a digit's extent."""
MAX_BACKGROUND_INK = 0.3
"""Share of the maximum ink up to which a pixel is background: light is uneven, and paper has a grain."""
LARGE = 2 * SIDE
"""Side of a picture from which single-pixel specks are removed as noise."""
MIN_CONTRAST = 16
"""Minimum contrast of ink and background, of 255; a picture with less is blank."""
# A picture that MNIST's makers could have made: 28 × 28, its ink 17 to 20 pixels long, centred by mass. All of MNIST's
# 70,000 are, with 19 or 20 pixels of ink above 0 and their centre within 0.52 of pixel 14.
MIN_NORMAL_INK = 200
NORMAL_EXTENT = (17, BOX)
NORMAL_OFFSET = 0.6


class Picture(NamedTuple):
    """A picture to read; `item` is its name in the frame's index."""

    item: str
    path: Path
    label: int | None = None


def read(folder: Path, rules: Rules) -> Frames:
    """Read all pictures of a folder, or those of its subfolders `train` and `test`; the index holds their names."""
    return Frames(*(_read(pictures, rules) for pictures in _list_parts(folder)))


def check(folder: Path) -> None:
    """Raise InputError for anything but pictures in subfolders named after their labels; opens none of them."""
    _list_parts(folder)


def batches(path: Path, rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read the pictures of a folder, or those of its test part if it has one."""
    part = path if has_label_folders(path) else _parts(path)[-1]
    return _read_batches(_list(path, part), rules, n_rows)


def batches_of(files: Sequence[tuple[str, Path]], rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read pictures without labels, given by name and path."""
    return _read_batches([Picture(*file) for file in files], rules, n_rows)


def _parts(folder: Path) -> list[Path]:
    return [folder / part for part in PICTURE_PARTS if (folder / part).is_dir()]


def _list_parts(folder: Path) -> list[list[Picture]]:
    parts = [folder] if has_label_folders(folder) else _parts(folder)
    return [_list(folder, part) for part in parts]


def _list(root: Path, folder: Path) -> list[Picture]:
    """List the pictures in the subfolders of a folder; raise InputError for anything else or a link out of the root."""
    pictures: list[Picture] = []
    for subfolder in entries(folder):
        if not subfolder.is_dir():
            continue
        check_inside(subfolder, root)
        if subfolder.name not in LABEL_NAMES:
            raise InputError(f"{subfolder}: not a label; expected subfolders named 0 to 9")
        for path in entries(subfolder):
            check_inside(path, root)
            if path.is_dir():
                raise InputError(f"{path}: a folder; expected pictures")
            pictures.append(Picture(printable(path.relative_to(root)), path, int(subfolder.name)))
    if not pictures:
        raise InputError(f"{folder}: no pictures; expected {', '.join(PILLOW_FORMATS)} in subfolders named 0 to 9")
    return pictures


def _read_batches(pictures: Sequence[Picture], rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
    return (_read(pictures[start : start + n_rows], rules) for start in range(0, len(pictures), n_rows))


def _read(pictures: Sequence[Picture], rules: InputRules) -> pd.DataFrame:
    pixels = np.stack([read_picture(picture.path, rules) for picture in pictures])  # threads take twice the time
    labels = [picture.label for picture in pictures if picture.label is not None]
    index = pd.Index([picture.item for picture in pictures])
    return images_to_frame(pixels, np.array(labels, np.uint8) if labels else None, index)


def read_picture(path: Path, rules: InputRules) -> NDArray[np.uint8]:
    """Read a PNG, JPEG or BMP picture of any size and colour as 28 × 28."""
    try:
        with Image.open(path, formats=PILLOW_FORMATS) as picture:
            if picture.width * picture.height <= rules.max_picture_pixels:
                return normalize(_to_grey(ImageOps.exif_transpose(picture)))
            size = f"{picture.width:,} × {picture.height:,}"
    except Exception as error:  # damaged content makes Pillow's decoders raise many kinds
        raise InputError(f"{path}: not a readable PNG, JPEG or BMP picture ({first_line(error)})") from error
    raise InputError(f"{path}: {size} pixels; --max-picture-pixels allows {rules.max_picture_pixels:,}")


def _to_grey(picture: Image.Image) -> NDArray[np.float32]:
    """Return brightness, 0 to 255; the transparent background of bright ink becomes black, that of dark ink white."""
    if picture.mode in {"I", "F"} or picture.mode.startswith("I;16"):  # usually 16 bits per pixel
        values = np.asarray(picture, np.float32)
        return values * np.float32(1 / 257 if values.max() > 255 else 1)  # noqa: PLR2004, 65535 becomes 255
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("L"), np.float32)
    both = np.asarray(picture.convert("LA"), np.float32)
    brightness, opacity = both[..., 0], both[..., 1] / 255
    ink = float((brightness * opacity).sum() / max(float(opacity.sum()), 1.0))
    background = 0.0 if ink > 127 else 255.0  # noqa: PLR2004, half of 255
    return np.asarray(background + (brightness - background) * opacity, np.float32)


def normalize(brightness: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Normalise a picture (rows × columns, 0 to 255) as MNIST's are; one that already is so is returned unchanged.

    The result has bright ink on a dark background, scaled to 20 × 20 without distortion and centred in 28 × 28 by its
    centre of mass, as LeCun, Cortes and Burges describe. Ink that scaling made faint is brightened again. A picture
    without contrast becomes a blank image, which validation quarantines.
    """
    image = np.zeros((SIDE, SIDE), np.uint8)
    ink = _ink(brightness)
    if ink.max(initial=0.0) < MIN_CONTRAST:
        return image
    if _is_normal(ink):
        return np.rint(ink).astype(np.uint8)
    ink = _clean(ink)
    if not ink.any():  # only specks
        return image
    rows, columns = _extent(ink)
    digit = ink[rows, columns]
    longest = max(digit.shape)
    height, width = (max(1, round(side * BOX / longest)) for side in digit.shape)
    fitted = np.asarray(Image.fromarray(digit).resize((width, height), Image.Resampling.BICUBIC))
    fitted = np.clip(fitted * (255 / fitted.max()), 0, 255)
    top, left = (
        int(np.clip(round(CENTRE - middle), 0, SIDE - side))
        for middle, side in zip(_centre(fitted), fitted.shape, strict=True)
    )
    image[top : top + height, left : left + width] = np.rint(fitted)
    return image


def _ink(brightness: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each pixel's difference from the background (the border's median), 0 on the side opposite to the ink's."""
    border = np.concatenate([brightness[0], brightness[-1], brightness[:, 0], brightness[:, -1]])
    background = np.float32(np.median(border))
    darker, brighter = background - brightness, brightness - background
    return np.asarray(np.maximum(darker if darker.max() > brighter.max() else brighter, 0), np.float32)


def _clean(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Remove specks, grain and shading of the background, so that they don't count towards a digit's extent."""
    if min(ink.shape) >= LARGE:
        ink = np.asarray(Image.fromarray(ink.astype(np.uint8)).filter(ImageFilter.MedianFilter(3)), np.float32)
    return np.asarray(np.maximum(ink - MAX_BACKGROUND_INK * ink.max(), 0), np.float32)


def _is_normal(ink: NDArray[np.float32]) -> bool:
    if ink.shape != (SIDE, SIDE) or ink.max() < MIN_NORMAL_INK:
        return False
    extent = max(part.stop - part.start for part in _extent(ink))
    shortest, longest = NORMAL_EXTENT
    return shortest <= extent <= longest and all(abs(middle - CENTRE) <= NORMAL_OFFSET for middle in _centre(ink))


def _extent(ink: NDArray[np.float32]) -> tuple[slice, slice]:
    inked = ink > INK * ink.max()
    rows, columns = (np.flatnonzero(inked.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _centre(ink: NDArray[np.float32]) -> tuple[float, float]:
    mass = ink.sum()
    rows, columns = (np.arange(length) for length in ink.shape)
    return float(ink.sum(axis=1) @ rows / mass), float(ink.sum(axis=0) @ columns / mass)
