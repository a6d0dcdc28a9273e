"""The repairs of `--repair` and `--relabel`, and how to detect which one of images is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

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

REPAIR_ADVISED = ": --repair "
SCALE_NEEDED = f"pixels run from 0 to 1; 0 to 255 are needed{REPAIR_ADVISED}scale"
INVERSION_NEEDED = f"ink is dark on a bright background{REPAIR_ADVISED}invert"

MIN_SIMILARITY, MIN_GAIN = 0.8, 0.1
"""A turn is needed if class means are this similar to the reference's after it, and this much more than before.

Measured on MNIST: 0.99 with the same digits (0.85 from 20 rows), up to 0.79 with turned digits (mirrored), up to 0.53
with Fashion-MNIST, however it is turned.
"""


def apply_repairs(frame: pd.DataFrame, repairs: Iterable[Repair]) -> pd.DataFrame:
    """Return the frame with repaired images; its index and label column, if any, are unchanged."""
    for repair in repairs:
        pixels = _pixels(frame)
        if repair == "scale":
            values = np.rint(pixels * 255.0)
        elif repair == "invert":
            values = 255 - pixels
        else:
            values = TURNS[repair](pixels.reshape(-1, SIDE, SIDE)).reshape(pixels.shape)
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


def select_repairs(max_pixel: float, repairs: Iterable[Repair]) -> tuple[Repair, ...]:
    """Return the requested repairs, without `scale` if the part's highest pixel shows that it isn't needed."""
    return tuple(repair for repair in repairs if repair != "scale" or is_unit_scale(max_pixel))


def is_unit_scale(max_pixel: float) -> bool:
    """Check whether pixels range from 0 to 1, by the highest of them. If all are 0, the scale is unknown: False."""
    return 0 < max_pixel <= 1


def find_max_pixel(frame: pd.DataFrame) -> float:
    """Return the highest of a frame's pixels; 0 if there are none."""
    pixels = _pixels(frame)
    return float(np.nanmax(pixels, initial=0) if pixels.dtype.kind == "f" else pixels.max(initial=0))


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
