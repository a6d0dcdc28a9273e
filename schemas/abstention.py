"""Abstention: the confidence below which a network gives no answer, and the accuracy that is proven above it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

PROOF_CONFIDENCE = 0.95
"""Probability that a proven accuracy holds."""
ACCEPTED_SHARES = (1.0, 0.98, 0.95, 0.9, 0.8, 0.5)
"""Shares of the held-out rows, the most confident ones, among which the abstention threshold is chosen."""
LEVELS = (0.999, 0.995, 0.99, 0.98, 0.95, 0.9)
"""Accuracies that can be proven for the predictions that the network doesn't abstain from; the highest is chosen."""
ALPHA = (1 - PROOF_CONFIDENCE) / len(ACCEPTED_SHARES)
"""Probability of error of the bound of each share (Bonferroni)."""
MIN_PROOF_ROWS = math.ceil(math.log(ALPHA) / math.log(min(LEVELS)))
"""Held-out rows that prove the lowest level if all are predicted rightly: of n, the bound is the n-th root of alpha."""


class AbstentionThreshold(NamedTuple):
    """A confidence threshold (None: abstain from all rows), and the accuracy that held-out rows prove above it."""

    value: float | None = None
    level: float | None = None


@dataclass(frozen=True)
class Abstention:
    """A threshold with its proven accuracy, `level`, and the share and accuracy of the test rows that reach it."""

    threshold: float | None
    coverage: float
    accuracy: float | None
    level: float | None = None


def level_text(level: float) -> str:
    """Format a proven accuracy: `with 95 % confidence at least 99.5 % of the answers are right`."""
    return f"with {100 * PROOF_CONFIDENCE:g} % confidence at least {100 * level:g} % of the answers are right"
