"""Abstention: the confidence below which a network gives no answer, and the accuracy that is proven above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

PROOF_CONFIDENCE = 0.95
"""Probability that a proven accuracy holds."""


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
