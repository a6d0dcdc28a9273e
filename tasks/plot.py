"""Plot: draw the plots of the training report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task

from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from schemas.gate import Decision
    from schemas.results import Dataset, Evaluation, TrainingResult


@task(task_run_name="plot", **RETRIED)
@timed
def plot(
    training_result: TrainingResult, evaluation: Evaluation, decision: Decision, dataset: Dataset
) -> dict[str, bytes]:
    """Return the plots of the report's sections as PNGs by name."""
    from artifacts.reports import plots, training_report

    inputs = training_report.PlotInputs(training_result, evaluation, decision, dataset)
    return plots.draw(training_report.SECTIONS, inputs)
