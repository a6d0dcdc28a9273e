"""Evaluate: judge a trained network on the untouched test images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.logging import get_run_logger

from tasks.stage import stage

if TYPE_CHECKING:
    from schemas.results import Dataset, Evaluation, Trained


@stage(run_name="evaluate on {dataset.name}")
def evaluate(trained: Trained, dataset: Dataset) -> Evaluation:
    """Give the network's figures on the dataset's test images."""
    from tasks.scoring import abstention, figures_of_merit
    from tasks.training.inference import answers

    least = abstention.threshold(trained.held_out_answers, trained.held_out_labels)
    evaluation = figures_of_merit.evaluation(dataset.test, answers(trained.network, dataset.test), least)
    low, high = evaluation.interval
    get_run_logger().info(
        "test accuracy %.2f%% (95 %% interval %.2f%% to %.2f%%), %s mistakes",
        100 * evaluation.accuracy,
        100 * low,
        100 * high,
        evaluation.errors,
    )
    return evaluation
