"""Explain in words why an answer isn't to be trusted.

To add a reason, add a function that returns a short text, or "" if it doesn't apply, and call it in `explain`. A reason
that compares the image with the training images is a measure with words, in `measures.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from schemas.profile import Profile
from tasks.scoring.measures import MEASURES, PERCENTS, measure

RARE = 98
"""Percent of the training images that an image must exceed, or fall below, in a measure for it to be mentioned."""


def explain(
    pixels: NDArray[np.uint8],
    probabilities: NDArray[np.float32],
    distances: NDArray[np.float32],
    threshold: float | None,
    profile: Profile,
) -> list[list[str]]:
    """Return for each of n images (n × 784) the reasons why its answer isn't to be trusted.

    `probabilities` are n × 10, `distances` the Mahalanobis distances by the profile of the training images.
    """
    lists = []
    ratios = distances / profile.outlier_threshold
    for row, ratio, unusual in zip(probabilities, ratios, describe(pixels, profile), strict=True):
        doubts = _undecided(row, threshold), _unusual_shape(ratio)
        lists.append([text for text in (*doubts, *unusual) if text])
    return lists


def describe(pixels: NDArray[np.uint8], profile: Profile) -> list[list[str]]:
    """Return for each image (rows × 784) in what it is unlike nearly all training images."""
    texts: list[list[str]] = [[] for _ in pixels]
    known = tuple(each for each in MEASURES if each.name in profile.percentiles)
    for each, values in zip(known, measure(pixels, known), strict=False):
        percentiles = profile.percentiles[each.name]
        below = len(PERCENTS) - np.searchsorted(percentiles, values, side="right")
        above = np.searchsorted(percentiles, values, side="left")
        for text, shares in ((each.low, below), (each.high, above)):
            for row in np.flatnonzero(shares >= RARE) if text else ():
                texts[row].append(text.format(share=shares[row], value=values[row]))
    return texts


def _undecided(probabilities: NDArray[np.float32], threshold: float | None) -> str:
    """Name the two digits that share most of the probability, or the only one and the confidence that is needed.

    Without a threshold, the network abstains always.
    """
    best, second = np.argsort(-probabilities, kind="stable")[:2]
    confidence, other = probabilities[best], probabilities[second]
    if threshold is None:
        return "too few held-out rows prove how often this version is right"
    if confidence >= threshold:
        return ""
    if other >= (1 - confidence) / 2:
        return f"between {best} and {second}: {_percent(confidence)} and {_percent(other)}"
    return f"{_percent(confidence)} for {best}, less than the {_percent(threshold)} needed"


def _unusual_shape(distance: float) -> str:
    """Name the distance of an image from the training images, 1 for an outlier, if it is further away."""
    if distance <= 1:
        return ""
    return f"an unusual shape: {distance:.2f} times the distance of an outlier"


def _percent(share: float) -> str:
    """Format a share, 52 %; near 0 and 1 with enough digits to tell it from them."""
    return f"{100 * share:.0f} %" if 0.01 <= share <= 0.99 else f"{100 * share:.2f} %"  # noqa: PLR2004
