"""Evaluate: compute a trained network's metrics on the test images, which aren't used in training."""

from __future__ import annotations

import dataclasses

from prefect import task
from prefect.logging import get_run_logger

from schemas.results import Dataset, Evaluation, TrainingResult, interval_text
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed


@task(task_run_name="evaluate on {dataset.name}", **RETRIED)
@timed
def evaluate(trained: TrainingResult, dataset: Dataset) -> Evaluation:
    """Return the network's metrics on the dataset's test images, or those of cross-validation."""
    from tasks.inference.predictor import predict_in_pieces, predictor
    from tasks.scoring import metrics, slices
    from tasks.scoring.corruptions import answer_corrupted

    threshold = metrics.abstention_threshold(trained.held_out_probabilities, trained.held_out_labels)
    predict, held_out = predictor(trained.network), trained.held_out_probabilities
    probabilities = held_out if dataset.n_folds else predict_in_pieces(predict, dataset.test)
    evaluation = metrics.evaluation(dataset.test, probabilities, threshold, dataset.n_folds)
    divisions = slices.divide(dataset)
    evaluation = dataclasses.replace(
        evaluation,
        without_suspects=metrics.without_suspects(evaluation.right, dataset.suspects),
        divisions=divisions,
        slices=slices.metrics(divisions, evaluation.right),
        robustness=None if dataset.n_folds else answer_corrupted(predict, dataset.test),
    )
    interval = f"95 % interval {interval_text(evaluation.interval)}"
    get_run_logger().info(
        "test accuracy %.2f%% (%s), %s mistakes", 100 * evaluation.accuracy, interval, evaluation.errors
    )
    return evaluation
