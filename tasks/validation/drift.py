"""Measure the drift of data from a reference profile; each measure has a threshold."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2

from schemas.profile import Profile
from schemas.rules import InputRules
from schemas.validation import Drift
from tasks.validation.profiles import Histograms

FALSE_ALARM_RATE = 1e-9
"""Probability that a sample without drift exceeds a threshold; low, because small samples have long tails."""


def drifts(part: str, histograms: Histograms, reference: Profile, rules: InputRules) -> list[Drift]:
    """Measure the drift of a part's label shares, mean ink, and shapes (its scores on principal components)."""
    n_rows = histograms.labels.sum()
    n_effective = n_rows * reference.n_rows / (n_rows + reference.n_rows)
    # A threshold is at least as high as random variation. Without drift both measures are chi-squared: the stability
    # index after Yurdakul (2018), the Jensen-Shannon divergence as an eighth of it for small differences.
    index_noise = float(chi2.isf(FALSE_ALARM_RATE, len(histograms.ink) - 1) / n_effective)
    label_noise = math.sqrt(index_noise / (8 * math.log(2)))
    shapes = map(_stability_index, histograms.scores, reference.score_counts)
    label_distance = float(jensenshannon(histograms.labels, reference.label_counts, base=2))
    ink = _stability_index(histograms.ink, reference.ink_counts)
    return [
        Drift(part, "label shares", label_distance, max(rules.max_label_drift, label_noise)),
        Drift(part, "ink", ink, max(rules.max_ink_drift, index_noise)),
        Drift(part, "shapes", max(shapes), max(rules.max_shape_drift, index_noise)),
    ]


def _stability_index(counts: NDArray[np.int64], reference: NDArray[np.int64]) -> float:
    """Return the population stability index: the sum of (p - q) · ln(p / q) over bins, half a row added to each."""
    p, q = ((bins + 0.5) / (bins + 0.5).sum() for bins in (counts, reference))
    return float(((p - q) * np.log(p / q)).sum())
