"""Predict: stream images through the checks and a version, answers into a file, and add up what they come to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from prefect import task
from prefect.logging import get_run_logger
from tqdm import tqdm

from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.prediction import Prediction, Predictor
    from schemas.rules import InputRules


HEAVY = (
    "artifacts.reports.plots",
    "tasks.prediction.stream",
    "tasks.sources.npz",
)


def check_output(path: Path) -> None:
    """Raise InputError unless predictions can be written to a path."""
    from artifacts import predictions

    predictions.check(path)


def preload() -> None:
    """Import what predicting needs, TensorFlow above all; for who has time to spare."""
    from tasks.inference import start_up

    start_up.preload(*HEAVY)


@task(task_run_name="predict {source}", **RETRIED)
@timed
def predict(source: str, predictor: Predictor, output: Path, rules: InputRules, batch_size: int) -> Prediction:
    """Predict on every image of a source; raise InputError, and write nothing, when it can't be read or has drifted."""
    from tasks.prediction import stream

    watched = sys.stderr.isatty()
    with tqdm(unit="image", disable=not watched, leave=False) as bar:
        prediction = stream.predict(source, predictor, output, rules, batch_size, on_batch=bar.update)
    logger = get_run_logger()
    logger.info("version %s: %s images, in %s", predictor.version, f"{prediction.n_rows:,}", output)
    for finding in prediction.findings:
        logger.warning("%s: %s", finding.check, finding.message)
    return prediction
