"""The repairs of `--repair` and `--relabel`, and how to detect which one of images is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.rules import Repair

TURNS: dict[Repair, Callable[[NDArray[np.generic]], NDArray[np.generic]]] = {
    "transpose": lambda images: images.swapaxes(1, 2),
    "mirror": lambda images: images[:, :, ::-1],
    "flip": lambda images: images[:, ::-1],
    "rotate90": lambda images: np.rot90(images, 1, (1, 2)),
    "rotate180": lambda images: np.rot90(images, 2, (1, 2)),
    "rotate270": lambda images: np.rot90(images, 3, (1, 2)),
    "antitranspose": lambda images: np.rot90(images, 2, (1, 2)).swapaxes(1, 2),
}
"""Functions of images, rows × 28 × 28; rotations are counterclockwise."""

BYTES = "from 0 to 255"
SCALES = {
    "from 0 to 1": (0.0, 1.0),
    "from 0 to 15": (0.0, 15.0),
    "from 0 to 16": (0.0, 16.0),
    "from -1 to 1": (-1.0, 1.0),
    "from -0.5 to 0.5": (-0.5, 0.5),
    "from -0.42 to 2.82 (normalised by MNIST's mean and deviation)": (-0.1307 / 0.3081, 0.8693 / 0.3081),
}
"""The other scales that can be repaired: the values that stand for 0 and 255."""
WIDEST = 1 + int(max(white for _, white in SCALES.values()))
"""Of images with another scale, all pixels are below this."""
TOLERANCE = 0.005

REPAIR_ADVISED = ": --repair "
"""Separates what is wrong from the repair that helps."""
INVERSION_NEEDED = f"ink is dark on a bright background{REPAIR_ADVISED}invert"

MIN_SIMILARITY, MIN_GAIN = 0.8, 0.1
"""A turn is needed if class means are this similar to the reference's after it, and this much more than before.

Measured on MNIST: 0.99 with the same digits (0.85 from 20 rows), up to 0.79 with turned digits (mirrored), up to 0.53
with Fashion-MNIST, however it is turned.
"""


def apply_repairs(frame: pd.DataFrame, repairs: Iterable[str]) -> pd.DataFrame:
    """Return the frame with repaired images; its index and label column, if any, are unchanged.

    The repairs are those of `select_repairs`, with the name of a scale in place of `scale`.
    """
    for repair in repairs:
        pixels = _pixels(frame)
        if repair in SCALES:
            low, high = SCALES[repair]
            values = np.rint((pixels - low) * (255 / (high - low)))
        elif repair == "invert":
            values = 255 - pixels
        else:
            values = TURNS[cast("Repair", repair)](pixels.reshape(-1, SIDE, SIDE)).reshape(pixels.shape)
        images = pd.DataFrame(values, index=frame.index, columns=frame.columns[-PIXEL_COUNT:], copy=False)
        frame = pd.concat([frame.iloc[:, :-PIXEL_COUNT], images], axis=1)
    return frame


def relabel(frame: pd.DataFrame, digits: str) -> pd.DataFrame:
    """Return the frame with other labels, given as in the rules: "1=7,7=1"; its pixels are unchanged."""
    if not digits:
        return frame
    new_labels = {int(label): int(digit) for label, digit in (pair.split("=") for pair in digits.split(","))}
    labels = frame[["label"]].replace(new_labels)
    return pd.concat([labels, frame.iloc[:, 1:]], axis=1)


def select_repairs(scale: str, repairs: Iterable[Repair]) -> tuple[str, ...]:
    """Return the requested repairs of images with a scale; `scale` comes first, by the scale's name, if it is needed.

    Readers resize.
    """
    repairs = tuple(repairs)
    others = tuple(repair for repair in repairs if repair not in {"scale", "resize"})
    return (scale, *others) if scale in SCALES and "scale" in repairs else others


def scale_message(scale: str, exceptions: str = "") -> str:
    """Say which repair images with another scale than from 0 to 255 need."""
    return f"pixels run {scale}{exceptions}; 0 to 255 are needed{REPAIR_ADVISED}scale"


def count_scales(frame: pd.DataFrame) -> Counter[str]:
    """Count the rows by their scale, as their lowest and highest pixels show it; empty rows are left out."""
    pixels = _pixels(frame)
    if not len(pixels):
        return Counter()
    high = pixels.max(axis=1)
    may_be_other = high < WIDEST  # of bytes, only the few such rows need their lowest pixels
    n_bytes = int((np.isfinite(high) & ~may_be_other).sum())
    low, high = pixels[may_be_other].min(axis=1), high[may_be_other]
    unknown = (low != 0) | (high != 0)
    counts: Counter[str] = Counter()
    for scale, (lowest, highest) in SCALES.items():
        reaches_low = abs(low - lowest) < TOLERANCE if lowest else low >= 0
        fits = unknown & reaches_low & (high <= highest + TOLERANCE * (lowest < 0))
        counts[scale] = int(fits.sum())
        unknown &= ~fits
    counts[BYTES] = n_bytes + int(unknown.sum())
    return +counts


def find_scale(counts: Mapping[str, int]) -> str:
    """Return the scale of most rows."""
    return max((BYTES, *SCALES), key=merge_scales(counts).__getitem__)


def merge_scales(counts: Mapping[str, int]) -> Counter[str]:
    """Return the counts of rows by scale; if some rows reach 16, those that reach 15 have the same scale."""
    merged = Counter(counts)
    if merged["from 0 to 16"]:
        merged["from 0 to 16"] += merged.pop("from 0 to 15", 0)
    return +merged


def _pixels(frame: pd.DataFrame) -> NDArray[Any]:
    return frame.iloc[:, -PIXEL_COUNT:].to_numpy()


def turn_needed(
    class_means: NDArray[np.float32], label_counts: NDArray[np.int64], reference_means: NDArray[np.float32]
) -> Repair | None:
    """Return the turn that makes class means (10 × 784) similar to the reference's, or None."""
    in_both = (label_counts > 0) & (np.ptp(reference_means, axis=1) > 0) & (np.ptp(class_means, axis=1) > 0)
    if not in_both.any():
        return None
    images = class_means[in_both].reshape(-1, SIDE, SIDE)

    def similarity(means: NDArray[np.generic]) -> float:
        distances = cdist(means.reshape(len(means), PIXEL_COUNT), reference_means[in_both], "correlation").diagonal()
        return float(np.average(1 - distances, weights=label_counts[in_both]))

    similarities = {name: similarity(turn(images)) for name, turn in TURNS.items()}
    best = max(similarities, key=similarities.__getitem__)
    return best if similarities[best] >= max(MIN_SIMILARITY, similarity(images) + MIN_GAIN) else None
