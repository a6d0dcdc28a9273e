"""Normalise pictures of digits as MNIST's are: bright ink on a dark background, 20 pixels long, centred by mass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from schemas.digits import SIDE
from schemas.errors import InputError
from tasks.sources import photos

BOX = 20
"""Side of the square that MNIST's digits were scaled to."""
CENTRE = SIDE // 2
STROKE = 2.8
"""Width of a pen's stroke in that square, as in MNIST; thinner ones are widened."""
INK = 0.1
"""Share of the maximum ink above which a pixel counts towards a digit's extent."""
MAX_BACKGROUND_INK = 0.3
"""Share of the maximum ink up to which a pixel is background: light is uneven, and paper has a grain."""
LARGE = 2 * SIDE
"""Side of a picture from which single-pixel specks are removed as noise."""
PHOTOGRAPH = 200
"""Side from which a picture is treated as a photograph: of paper, in uneven light. Smaller ones are scans and crops."""
MIN_CONTRAST = 16
"""Minimum contrast of ink and background, of 255; a picture with less is blank."""
# A picture that MNIST's makers could have made: 28 × 28, its ink 17 to 20 pixels long, centred by mass. All of MNIST's
# 70,000 are, with 19 or 20 pixels of ink above 0 and their centre within 0.52 of pixel 14.
MIN_NORMAL_INK = 200
NORMAL_EXTENT = (17, BOX)
NORMAL_OFFSET = 0.6


class SeveralDigitsError(InputError):
    """A picture that holds several digits."""


def normalize(brightness: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Normalise a picture (rows × columns, 0 to 255) as MNIST's are; one that already is so is returned unchanged.

    The result has bright ink on a dark background, scaled to 20 × 20 without distortion and centred in 28 × 28 by its
    centre of mass, as LeCun, Cortes and Burges describe. Ink that scaling made faint is brightened again. A picture
    without contrast becomes a blank image, which validation quarantines.
    """
    image = np.zeros((SIDE, SIDE), np.uint8)
    if min(brightness.shape) >= PHOTOGRAPH:
        digit = _find_digit(brightness)
    else:
        ink = _ink(brightness)
        if ink.max(initial=0.0) < MIN_CONTRAST:
            return image
        if _is_normal(ink):
            return np.rint(ink).astype(np.uint8)
        digit = _clean(ink)
    if not digit.any():
        return image
    fitted = _fit(digit[_extent(digit)])
    top, left = (
        int(np.clip(round(CENTRE - middle), 0, SIDE - side))
        for middle, side in zip(_centre(fitted), fitted.shape, strict=True)
    )
    image[top : top + fitted.shape[0], left : left + fitted.shape[1]] = np.rint(fitted)
    return image


def _find_digit(brightness: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the ink of the only digit of a photograph, as wide as MNIST's strokes; raise InputError for several."""
    found = _digits(brightness) or _digits(photos.with_margin(brightness))
    if len(found) > 1:
        raise SeveralDigitsError(f"holds {len(found)} digits; crop one per picture")
    return (
        photos.with_stroke_width(found[0], BOX, STROKE).astype(np.float32) * 255
        if found
        else np.zeros((1, 1), np.float32)
    )


def _digits(brightness: NDArray[np.float32]) -> list[photos.Mask]:
    ink = photos.subtract_background(photos.crop_to_paper(photos.resample(brightness)))
    return photos.digits(ink, photos.ink_mask(ink, MIN_CONTRAST / 255))


def _fit(digit: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale ink to 20 × 20 without distortion, and brighten ink that this made faint."""
    longest = max(digit.shape)
    height, width = (max(1, round(side * BOX / longest)) for side in digit.shape)
    fitted = np.asarray(Image.fromarray(digit).resize((width, height), Image.Resampling.BICUBIC))
    return np.asarray(np.clip(fitted * (255 / fitted.max()), 0, 255), np.float32)


def _ink(brightness: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each pixel's difference from the background (the border's median), 0 on the side opposite to the ink's."""
    border = photos.border(brightness)
    is_even = (border == border[0]).all()  # a median takes as long as decoding a small picture
    background = border[0] if is_even else np.float32(np.median(border))
    is_dark = background - brightness.min() > brightness.max() - background
    return np.maximum(background - brightness if is_dark else brightness - background, np.float32(0))


def _clean(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Remove specks, grain and shading of the background, so that they don't count towards a digit's extent."""
    if min(ink.shape) >= LARGE:
        ink = np.asarray(Image.fromarray(ink.astype(np.uint8)).filter(ImageFilter.MedianFilter(3)), np.float32)
    return np.asarray(np.maximum(ink - MAX_BACKGROUND_INK * ink.max(), 0), np.float32)


def _is_normal(ink: NDArray[np.float32]) -> bool:
    if ink.shape != (SIDE, SIDE) or ink.max() < MIN_NORMAL_INK:
        return False
    shortest, longest = NORMAL_EXTENT
    is_long = shortest <= max(part.stop - part.start for part in _extent(ink)) <= longest
    return is_long and all(abs(middle - CENTRE) <= NORMAL_OFFSET for middle in _centre(ink))


def _extent(ink: NDArray[np.float32]) -> tuple[slice, slice]:
    inked = ink > INK * ink.max()
    rows, columns = (np.flatnonzero(inked.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _centre(ink: NDArray[np.float32]) -> tuple[float, float]:
    mass = ink.sum()
    rows, columns = (np.arange(length) for length in ink.shape)
    return float(ink.sum(axis=1) @ rows / mass), float(ink.sum(axis=0) @ columns / mass)
