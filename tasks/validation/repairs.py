"""The repairs that `--repair` makes, and how to find out which one is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from schemas.digits import PIXEL_COUNT, SIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

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
INVERSION_NEEDED = f"ink is dark on a bright ground{REPAIR_ADVISED}invert"

MIN_SIMILARITY, MIN_GAIN = 0.8, 0.1
"""Class means that are this similar to the reference's after a turn, and this much more than before, need the turn.

Measured on MNIST: 0.99 with the same digits (0.85 from 20 rows), up to 0.79 with turned digits (mirrored), up to 0.53
with Fashion-MNIST, however it is turned.
"""


def repaired(frame: pd.DataFrame, repairs: Iterable[Repair]) -> pd.DataFrame:
    """Return the frame with its images repaired; its index and label, if it has one, stay."""
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


def needed(highest: float, repairs: Iterable[Repair]) -> tuple[Repair, ...]:
    """Return the repairs, without the scaling if a part's highest pixel shows that only another part needs it."""
    return tuple(repair for repair in repairs if repair != "scale" or is_unit_scale(highest))


def is_unit_scale(highest: float) -> bool:
    """Return whether pixels run from 0 to 1, from the highest of them; all 0 is no scale."""
    return 0 < highest <= 1


def highest(frame: pd.DataFrame) -> float:
    """Return the highest of a frame's pixels; 0 if there are none."""
    pixels = _pixels(frame)
    if not pixels.size:
        return 0.0
    return float(np.nanmax(pixels, initial=0) if pixels.dtype.kind == "f" else pixels.max())


def _pixels(frame: pd.DataFrame) -> NDArray[Any]:
    return frame.iloc[:, -PIXEL_COUNT:].to_numpy()


def turn_needed(
    class_means: NDArray[np.float32], label_counts: NDArray[np.int64], reference_means: NDArray[np.float32]
) -> Repair | None:
    """Return the turn that makes class means (10 × 784) similar to the reference's; None if none does."""
    both = (label_counts > 0) & reference_means.any(axis=1) & class_means.any(axis=1)
    if not both.any():
        return None
    images = class_means[both].reshape(-1, SIDE, SIDE)
    unturned = similarity(images, reference_means[both], label_counts[both])
    turned = {name: similarity(turn(images), reference_means[both], label_counts[both]) for name, turn in TURNS.items()}
    best = max(turned, key=turned.__getitem__)
    return best if turned[best] >= max(MIN_SIMILARITY, unturned + MIN_GAIN) else None


def similarity(images: NDArray[np.generic], reference: NDArray[np.float32], weights: NDArray[np.int64]) -> float:
    """Return the weighted mean correlation of images with those of the reference."""
    a, b = (_center(side.reshape(len(weights), -1)) for side in (images, reference))
    correlations = (a * b).sum(axis=1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-9)
    return float(np.average(correlations, weights=weights))


def _center(values: NDArray[np.generic]) -> NDArray[np.float64]:
    floats: NDArray[np.float64] = values.astype(np.float64)
    return np.asarray(floats - floats.mean(axis=1, keepdims=True))
