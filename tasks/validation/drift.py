"""How far data is from a reference profile, as figures, each with the bound that it is held to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2

from schemas.results import Drift

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from schemas.profile import Profile
    from schemas.rules import InputRules
    from tasks.validation.profiles import Histograms

CHANCE = 1e-9
"""How often a sample of the very same images may be called far; small ones have longer tails than the formula says."""


def drifts(part: str, counts: Histograms, reference: Profile, rules: InputRules) -> list[Drift]:
    """Measure a part's drift: of its label shares, its mean ink, its images' shapes (principal components)."""
    rows = counts.labels.sum()
    effective = rows * reference.n_rows / (rows + reference.n_rows)
    cells = len(counts.ink)
    # What chance alone gives: both figures are chi-squared about 0, the index after Yurdakul (2018), the distance
    # because Jensen-Shannon's divergence is an eighth of it for shares that differ little.
    by_chance = float(chi2.isf(CHANCE, cells - 1) / effective)
    label_noise = math.sqrt(by_chance / (8 * math.log(2)))
    shapes = [stability_index(*pair) for pair in zip(counts.scores, reference.score_counts, strict=True)]
    label_distance = float(jensenshannon(counts.labels, reference.label_counts, base=2))
    return [
        Drift(part, "label shares", label_distance, max(rules.max_label_drift, label_noise)),
        Drift(part, "ink", stability_index(counts.ink, reference.ink_counts), max(rules.max_ink_drift, by_chance)),
        Drift(part, "shapes", max(shapes), max(rules.max_shape_drift, by_chance)),
    ]


def stability_index(counts: NDArray[np.int64], reference: NDArray[np.int64]) -> float:
    """Give the population stability index: the sum of (p - q) · ln(p / q) over cells, each with half a row added."""
    shares = [(cells + 0.5) / (cells + 0.5).sum() for cells in (counts, reference)]
    return float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())
