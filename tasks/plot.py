"""Plot: draw the plots of the training report."""

from __future__ import annotations

from prefect import task

from schemas.gate import Decision
from schemas.results import Dataset, Evaluation, Plots, TrainingResult
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed


@task(task_run_name="plot", **RETRIED)
@timed
def plot(trained: TrainingResult, evaluation: Evaluation, decision: Decision, dataset: Dataset) -> Plots:
    """Return the plots of the report's sections."""
    from artifacts.reports import plots, training_report
    from tasks.inference import saliency

    # In cross-validation other networks than this one made the mistakes.
    mistakes = () if dataset.n_folds else evaluation.mistakes
    attributions = saliency.of_mistakes(trained.network, mistakes, dataset.test) if mistakes else None
    inputs = training_report.PlotInputs(trained, evaluation, decision, dataset, attributions)
    return plots.draw(training_report.SECTIONS, inputs)
