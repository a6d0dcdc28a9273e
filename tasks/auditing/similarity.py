"""Find near-duplicates with other labels, and outliers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from schemas.images import Images
from schemas.pixel_frame import blocks
from schemas.profile import Profile
from tasks.validation import profiles

MIN_SIMILARITY = 0.95
"""Cosine of two images' pixels from which they count as near-duplicates: noise and half a pixel's shift stay above it.

No two digits of MNIST with different labels reach it; the nearest of all other digits does for one in nine.
"""
BLOCK_ROWS = 8192


def nearest_with_other_label(
    pixels: NDArray[np.uint8], labels: NDArray[np.uint8], images: Images
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the nearest neighbour with another label of each of n images (n × 784): its row, and the cosine."""
    queries = _unit(pixels)
    nearest, similarity = np.full(len(pixels), -1), np.full(len(pixels), -1, np.float32)
    for block in blocks(len(images), BLOCK_ROWS):
        others = _unit(images.read(block))
        for part in blocks(len(pixels), BLOCK_ROWS):  # bounds the memory of the cosines
            cosines = queries[part] @ others.T
            cosines[labels[part, None] == images.labels[block]] = -1
            best = cosines.argmax(axis=1)
            cosine = cosines[np.arange(len(best)), best]
            closer = part.start + np.flatnonzero(cosine > similarity[part])
            nearest[closer] = best[closer - part.start] + block.start
            similarity[closer] = cosine[closer - part.start]
    return nearest, similarity


def distance_ratios(images: Images, profile: Profile) -> NDArray[np.float64]:
    """Return each image's distance from the training images over the profile's outlier threshold; outliers exceed 1."""
    distances = [
        profiles.compute_stats(images.read(piece), images.labels[piece], profile).distance for piece in images.pieces()
    ]
    return np.concatenate(distances).astype(np.float64) / profile.outlier_threshold


def _unit(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = pixels.astype(np.float32)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1)
    return values
