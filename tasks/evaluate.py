"""Evaluate: measure a trained network on the test images, which training never sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.logging import get_run_logger

from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from schemas.results import Dataset, Evaluation, TrainingResult


@task(task_run_name="evaluate on {dataset.name}", **RETRIED)
@timed
def evaluate(trained: TrainingResult, dataset: Dataset) -> Evaluation:
    """Return the network's metrics on the dataset's test images."""
    from tasks.inference.model import predict_images
    from tasks.scoring import metrics

    threshold = metrics.abstention_threshold(trained.held_out_probabilities, trained.held_out_labels)
    evaluation = metrics.evaluation(dataset.test, predict_images(trained.network, dataset.test), threshold)
    low, high = evaluation.interval
    get_run_logger().info(
        "test accuracy %.2f%% (95 %% interval %.2f%% to %.2f%%), %s mistakes",
        100 * evaluation.accuracy,
        100 * low,
        100 * high,
        evaluation.errors,
    )
    return evaluation
