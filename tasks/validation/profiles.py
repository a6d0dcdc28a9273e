"""Make a profile of a frame, and count a frame by the edges of another one's profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.decomposition import PCA

from artifacts import reference
from schemas.digits import CLASSES, PIXEL_COUNT
from schemas.pixel_frame import labels_of, pixels_of
from schemas.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

COMPONENTS = 8
SAMPLE = 10_000
"""Rows, evenly spread, that the components are found on; the counts are of all rows."""
DECILES = np.arange(1, 10) / 10
BLOCK = 8192
EMBEDDED = Path(__file__).parents[2] / "data" / "mnist-reference.npz"


class Counts(NamedTuple):
    """How a frame's rows fall between the edges of a profile, and the means of its classes."""

    labels: NDArray[np.int64]
    class_means: NDArray[np.float32]
    ink: NDArray[np.int64]
    scores: NDArray[np.int64]


def embedded() -> Profile:
    """Give the profile of the embedded MNIST's training part."""
    return reference.read(EMBEDDED)


def profile_of(frame: pd.DataFrame, name: str) -> Profile:
    """Make the profile of a labelled pixel frame with at least one row."""
    sample = pixels_of(frame)[:: -(-len(frame) // SAMPLE)].astype(np.float32)
    mean = sample.mean(axis=0)
    components = _components(sample)
    labels, ink, scores = labels_of(frame), *_ink_and_scores(frame, mean, components)
    # Halfway between values that occur: many images of one value must not fall on either side of an edge by rounding.
    ink_edges = np.quantile(ink, DECILES, method="midpoint").astype(np.float32)
    score_edges = np.quantile(scores, DECILES, axis=0, method="midpoint").T.astype(np.float32)
    return Profile(
        name=name,
        label_counts=np.bincount(labels, minlength=len(CLASSES)),
        class_means=_class_means(frame),
        ink_edges=ink_edges,
        ink_counts=_between(ink, ink_edges),
        mean=mean,
        components=components,
        score_edges=score_edges,
        score_counts=np.stack([_between(s, e) for s, e in zip(scores.T, score_edges, strict=True)]),
    )


def count(frame: pd.DataFrame, profile: Profile) -> Counts:
    """Count a labelled pixel frame by the edges of a profile."""
    ink, scores = _ink_and_scores(frame, profile.mean, profile.components)
    return Counts(
        labels=np.bincount(labels_of(frame), minlength=len(CLASSES)),
        class_means=_class_means(frame),
        ink=_between(ink, profile.ink_edges),
        scores=np.stack([_between(s, e) for s, e in zip(scores.T, profile.score_edges, strict=True)]),
    )


def _components(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the principal components; those that so few rows don't have are 0."""
    components = np.zeros((COMPONENTS, PIXEL_COUNT), np.float32)
    found = min(COMPONENTS, len(sample) - 1)
    if found:
        solver = "covariance_eigh" if len(sample) > PIXEL_COUNT else "full"
        components[:found] = PCA(found, svd_solver=solver).fit(sample).components_
    return components


def _blocks(frame: pd.DataFrame) -> Iterator[tuple[int, NDArray[np.float32]]]:
    pixels = pixels_of(frame)
    for start in range(0, len(frame), BLOCK):
        yield start, pixels[start : start + BLOCK].astype(np.float32)


def _ink_and_scores(
    frame: pd.DataFrame, mean: NDArray[np.float32], components: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    ink = np.empty(len(frame), np.float32)
    scores = np.empty((len(frame), len(components)), np.float32)
    offset = components @ mean
    for start, block in _blocks(frame):
        ink[start : start + BLOCK] = block.mean(axis=1)
        scores[start : start + BLOCK] = block @ components.T - offset
    return ink, scores


def _class_means(frame: pd.DataFrame) -> NDArray[np.float32]:
    sums = np.zeros((len(CLASSES), PIXEL_COUNT), np.float64)
    labels = labels_of(frame)
    for start, block in _blocks(frame):
        members = labels[start : start + BLOCK] == np.array(CLASSES)[:, None]
        sums += members.astype(np.float32) @ block
    counts = np.bincount(labels, minlength=len(CLASSES))[:, None]
    return (sums / np.maximum(counts, 1)).astype(np.float32)


def _between(values: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
