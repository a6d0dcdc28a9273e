"""Plot: draw what the report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task

from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from schemas.gate import Decision
    from schemas.results import Evaluation, TrainingResult


@task(task_run_name="plot", **RETRIED)
@timed
def plot(trained: TrainingResult, evaluation: Evaluation, decision: Decision) -> dict[str, bytes]:
    """Give the report's pictures as PNGs by name."""
    from artifacts.reports import plots

    return plots.training_plots(trained, evaluation, decision.changes)
