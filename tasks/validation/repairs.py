"""The repairs that a person can ask for by name, and the orientation that tells which one is needed."""

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
"""On images, rows × 28 × 28; the rotations go against the clock."""

REPAIR_ADVISED = ": --repair "
SCALE_NEEDED = f"pixels run from 0 to 1; 0 to 255 are needed{REPAIR_ADVISED}scale"
INVERSION_NEEDED = f"ink is dark on a bright ground{REPAIR_ADVISED}invert"

# Measured on MNIST: mean images correlate with those of the same digits by 0.99 (0.85 from 20 rows), with those of
# digits turned wrongly by up to 0.79 (mirrored), those of Fashion-MNIST by up to 0.53 however they are turned.
ALIKE, CLEARLY = 0.8, 0.1


def repaired(frame: pd.DataFrame, repairs: Iterable[Repair]) -> pd.DataFrame:
    """Give the frame with its images repaired; its label, if it has one, and its index stay."""
    for repair in repairs:
        pixels = _pixels(frame)
        if repair == "scale":
            changed = np.rint(pixels * 255.0)
        elif repair == "invert":
            changed = 255 - pixels
        else:
            changed = TURNS[repair](pixels.reshape(-1, SIDE, SIDE)).reshape(pixels.shape)
        images = pd.DataFrame(changed, index=frame.index, columns=frame.columns[-PIXEL_COUNT:], copy=False)
        frame = pd.concat([frame.iloc[:, :-PIXEL_COUNT], images], axis=1)
    return frame


def needed(highest: float, repairs: Iterable[Repair]) -> tuple[Repair, ...]:
    """Leave out the scaling if a part's highest pixel doesn't need it: of several it may be another one that does."""
    return tuple(repair for repair in repairs if repair != "scale" or is_unit_scale(highest))


def is_unit_scale(highest: float) -> bool:
    """Tell from the highest of all pixels whether they run from 0 to 1: none is beyond, and there are some above 0."""
    return 0 < highest <= 1


def highest(frame: pd.DataFrame) -> float:
    """Give the highest of a frame's pixels; 0 where there is none."""
    pixels = _pixels(frame)
    if not pixels.size:
        return 0.0
    return float(np.nanmax(pixels, initial=0) if pixels.dtype.kind == "f" else pixels.max())


def _pixels(frame: pd.DataFrame) -> NDArray[Any]:
    return frame.iloc[:, -PIXEL_COUNT:].to_numpy()


def turn_needed(
    class_means: NDArray[np.float32], label_counts: NDArray[np.int64], reference_means: NDArray[np.float32]
) -> Repair | None:
    """Tell which turn would make the classes' mean images (10 × 784) those of the reference; None if none does."""
    both = (label_counts > 0) & reference_means.any(axis=1) & class_means.any(axis=1)
    if not both.any():
        return None
    images = class_means[both].reshape(-1, SIDE, SIDE)
    as_they_are = similarity(images, reference_means[both], label_counts[both])
    alike = {name: similarity(turn(images), reference_means[both], label_counts[both]) for name, turn in TURNS.items()}
    best = max(alike, key=alike.__getitem__)
    return best if alike[best] >= max(ALIKE, as_they_are + CLEARLY) else None


def similarity(images: NDArray[np.generic], reference: NDArray[np.float32], weights: NDArray[np.int64]) -> float:
    """Give the mean correlation of images with those of the reference, weighted."""
    a, b = (_centred(side.reshape(len(weights), -1)) for side in (images, reference))
    correlations = (a * b).sum(axis=1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-9)
    return float(np.average(correlations, weights=weights))


def _centred(values: NDArray[np.generic]) -> NDArray[np.float64]:
    floats: NDArray[np.float64] = values.astype(np.float64)
    return np.asarray(floats - floats.mean(axis=1, keepdims=True))
