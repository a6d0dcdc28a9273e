"""Read a folder of pictures, one subfolder a label, and bring any picture of a digit to MNIST's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from schemas.digits import CLASSES, PIXEL_COUNT, SIDE
from schemas.errors import InputError
from tasks.sources.files import check_inside, entries, printable
from tasks.sources.frames import Frames, of_images

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from schemas.rules import InputRules, Rules

FORMATS = ("PNG", "JPEG", "BMP")
LABELS = tuple(str(label) for label in CLASSES)
PARTS = ("train", "test")
BOX = 20
"""The side of the square that MNIST's digits were fitted into."""
CENTRE = SIDE // 2
INK = 0.1
"""What counts as ink when a digit's extent is looked for, as a share of the darkest ink."""
GROUND = 0.3
"""What is still ground, as a share of the darkest ink: the light is never quite even, and paper has a grain."""
LARGE = 2 * SIDE
"""The side from which on a speck of a pixel is no part of a digit."""
FAINTEST_CONTRAST = 16
"""Between ground and ink, of 255; a picture with less is blank."""
# A picture that MNIST's makers could have made: 28 × 28, its ink 17 to 20 pixels long, centred by mass. All of MNIST's
# 70,000 are, with 19 or 20 pixels of ink above 0 and their centre within 0.52 of pixel 14.
FAINTEST_NORMAL = 200
NORMAL_EXTENT = (17, BOX)
NORMAL_OFFSET = 0.6


class Picture(NamedTuple):
    """A picture to read: what it is called, where it is, what it shows if that is known."""

    item: str
    path: Path
    label: int | None = None


def read(folder: Path, rules: Rules) -> Frames:
    """Give the frame of all pictures or, of subfolders `train` and `test`, the two; the index is their names.

    Raises InputError naming a picture that can't be read, a link that leads outside, a subfolder that is no label.
    """
    parts = [folder] if _is_labelled(folder) else [folder / part for part in PARTS if (folder / part).is_dir()]
    return Frames(*(_frame(_labelled(folder, part), rules) for part in parts))


def batches(path: Path, rules: InputRules, rows: int) -> Iterator[pd.DataFrame]:
    """Give the pictures of a folder with labels, of its part to test with if it has one, so many at a time."""
    tested = path if _is_labelled(path) else next(path / part for part in reversed(PARTS) if (path / part).is_dir())
    return batches_of(_labelled(path, tested), rules, rows)


def batches_of(pictures: Sequence[Picture], rules: InputRules, rows: int) -> Iterator[pd.DataFrame]:
    """Give pictures so many at a time; all of them have labels, or none has."""
    return (_frame(pictures[start : start + rows], rules) for start in range(0, len(pictures), rows))


def _is_labelled(folder: Path) -> bool:
    return any((folder / label).is_dir() for label in LABELS)


def _labelled(root: Path, folder: Path) -> list[Picture]:
    """List the pictures in the subfolders of a folder."""
    pictures: list[Picture] = []
    for subfolder in entries(folder):
        if not subfolder.is_dir():
            continue
        check_inside(subfolder, root)
        if subfolder.name not in LABELS:
            raise InputError(f"{subfolder}: no label; subfolders are named 0 to 9")
        found = entries(subfolder)
        for path in found:
            check_inside(path, root)
            if path.is_dir():
                raise InputError(f"{path}: a folder; pictures are needed")
        label = int(subfolder.name)
        pictures += [Picture(printable(path.relative_to(root)), path, label) for path in found]
    if not pictures:
        raise InputError(f"{folder}: no pictures; {', '.join(FORMATS)} in subfolders named 0 to 9 are needed")
    return pictures


def _frame(pictures: Sequence[Picture], rules: InputRules) -> pd.DataFrame:
    pixels = [read_picture(picture.path, rules) for picture in pictures]  # threads take twice the time
    labels = [picture.label for picture in pictures if picture.label is not None]
    items = [picture.item for picture in pictures]
    return of_images(np.stack(pixels).reshape(-1, PIXEL_COUNT), np.array(labels, np.uint8) if labels else None, items)


def read_picture(path: Path, rules: InputRules) -> NDArray[np.uint8]:
    """Read a PNG, JPEG or BMP of any size and colour as 28 × 28; raise InputError when it can't be."""
    try:
        with Image.open(path, formats=FORMATS) as picture:
            if picture.width * picture.height <= rules.max_picture_pixels:
                return normalised(_grey(ImageOps.exif_transpose(picture)))
            size = f"{picture.width:,} × {picture.height:,}"
    except Exception as error:  # Pillow's decoders raise whatever damaged content leads them to
        raise InputError(f"{path}: not a readable picture, PNG, JPEG or BMP ({error})") from error
    raise InputError(f"{path}: {size} pixels; --max-picture-pixels allows {rules.max_picture_pixels:,}")


def _grey(picture: Image.Image) -> NDArray[np.float32]:
    """Give brightness, 0 to 255; where a picture is transparent, the ground is what its ink isn't."""
    if picture.mode in {"I", "F"} or picture.mode.startswith("I;16"):  # 16 bits a pixel, most often
        values = np.asarray(picture, np.float32)
        return values * np.float32(1 / 257 if values.max() > 255 else 1)  # noqa: PLR2004, 65535 becomes 255
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("L"), np.float32)
    both = np.asarray(picture.convert("LA"), np.float32)
    brightness, opacity = both[..., 0], both[..., 1] / 255
    ink = float((brightness * opacity).sum() / max(float(opacity.sum()), 1.0))
    ground = 0.0 if ink > 127 else 255.0  # noqa: PLR2004, half of 255
    return np.asarray(ground + (brightness - ground) * opacity, np.float32)


def normalised(brightness: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Bring a picture (rows × columns, 0 to 255) to MNIST's form; one that has it already stays as it is.

    Ink bright on dark whatever the original, fitted into 20 × 20 with its proportions kept, centred in 28 × 28 by its
    mass: the normalisation that LeCun, Cortes and Burges describe. Ink that fitting made faint is brightened again. A
    picture without contrast gives a blank image, for validation to set aside.
    """
    ink = _ink(brightness)
    darkest = float(ink.max(initial=0.0))
    if darkest < FAINTEST_CONTRAST:
        return np.zeros((SIDE, SIDE), np.uint8)
    if _is_normal(ink):
        return np.rint(ink).astype(np.uint8)
    ink = _cleaned(ink)
    if not ink.any():  # there was nothing but specks
        return np.zeros((SIDE, SIDE), np.uint8)
    rows, columns = _extent(ink)
    digit = ink[rows, columns]
    longest = max(digit.shape)
    height, width = (max(1, round(side * BOX / longest)) for side in digit.shape)
    fitted = np.asarray(Image.fromarray(digit).resize((width, height), Image.Resampling.BICUBIC))
    fitted = np.clip(fitted * (255 / fitted.max()), 0, 255)
    image = np.zeros((SIDE, SIDE), np.uint8)
    top, left = (
        int(np.clip(round(CENTRE - middle), 0, SIDE - side))
        for middle, side in zip(_centre(fitted), fitted.shape, strict=True)
    )
    image[top : top + height, left : left + width] = np.rint(fitted)
    return image


def _ink(brightness: NDArray[np.float32]) -> NDArray[np.float32]:
    """Tell ink from ground, which is what most of the border shows: the ink is what differs most from it."""
    border = np.concatenate([brightness[0], brightness[-1], brightness[:, 0], brightness[:, -1]])
    ground = np.float32(np.median(border))
    darker, brighter = ground - brightness, brightness - ground
    return np.asarray(np.maximum(darker if darker.max() > brighter.max() else brighter, 0), np.float32)


def _cleaned(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take away specks, grain and shades of the ground, which a digit's extent must not be taken from."""
    if min(ink.shape) >= LARGE:
        ink = np.asarray(Image.fromarray(ink.astype(np.uint8)).filter(ImageFilter.MedianFilter(3)), np.float32)
    return np.asarray(np.maximum(ink - GROUND * ink.max(), 0), np.float32)


def _is_normal(ink: NDArray[np.float32]) -> bool:
    if ink.shape != (SIDE, SIDE) or ink.max() < FAINTEST_NORMAL:
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
