"""Plot: draw what the report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.stage import stage

if TYPE_CHECKING:
    from schemas.gate import Decision
    from schemas.results import Evaluation, Trained


@stage
def plot(trained: Trained, evaluation: Evaluation, decision: Decision) -> dict[str, bytes]:
    """Give the report's pictures as PNGs by name."""
    from artifacts import figures

    return figures.of_a_run(trained, evaluation, decision.changes)
