"""Images of other sizes than 28 × 28, which `--repair resize` normalises as pictures are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from schemas.digits import SIDE
from schemas.errors import InputError
from schemas.rules import InputRules

SIDES = (8, 16, 20, SIDE, 32)
"""Sides of the images of well-known sets of digits: of scikit-learn and UCI, USPS, courses, MNIST, padded MNIST."""
PIXEL_COUNTS = {side * side for side in SIDES}


def check_size(where: str, n_pixels: int, rules: InputRules) -> None:
    """Raise InputError for images of another known size unless `--repair resize` is requested."""
    side = math.isqrt(n_pixels)
    if side != SIDE and "resize" not in rules.repair:
        raise InputError(f"{where}: images of {side} × {side} pixels; 28 × 28 are needed: --repair resize")


def resize(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Normalise images (rows × side × side or rows × pixels) to 28 × 28 as pictures are; return rows × 784.

    The darkest and the brightest of all pixels become 0 and 255. Rows with missing or infinite pixels are blank.
    """
    from tasks.sources.normalization import normalize

    side = round(np.prod(pixels.shape[1:]) ** 0.5)
    images = pixels.reshape(-1, side, side).astype(np.float32)
    finite = np.isfinite(images)
    low = images[finite].min(initial=0)
    span = images[finite].max(initial=low) - low or 1
    brightness = np.where(finite.all(axis=(1, 2), keepdims=True), (images - low) * np.float32(255 / span), 0)
    normal = [normalize(image).reshape(-1) for image in brightness]
    return np.array(normal, np.uint8).reshape(-1, SIDE * SIDE)
