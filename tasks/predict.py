"""Predict: stream images through the checks and a version, answers into a file, and add up what they come to."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from prefect.logging import get_run_logger
from tqdm import tqdm

from schemas.errors import InputError
from tasks.stage import stage

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.prediction import Prediction, Predictor
    from schemas.rules import InputRules


HEAVY = (
    "artifacts.figures",
    "artifacts.predictions",
    "tasks.prediction.answers",
    "tasks.prediction.tally",
    "tasks.sources.npz",
    "tasks.training.inference",
)


def check_output(path: Path, source: str) -> None:
    """Raise InputError unless predictions on a source can be written to a path."""
    from artifacts import predictions

    predictions.check(path, source)


def preload() -> None:
    """Import what predicting needs, TensorFlow above all; for who has time to spare."""
    from tasks.training import start_up

    start_up.preload(*HEAVY)


def summary(prediction: Prediction) -> str:
    """Tell a person at a terminal what came of it."""
    from artifacts import prediction_report

    return prediction_report.summary(prediction)


@stage
def predict(source: str, predictor: Predictor, output: Path, rules: InputRules, batch_size: int) -> Prediction:
    """Predict on every image of a source; raise InputError, and write nothing, when it can't be read or has drifted."""
    from artifacts import predictions
    from tasks.prediction.answers import answer, check_layout
    from tasks.prediction.tally import Tally
    from tasks.sources import inputs

    tally = Tally(predictor)
    watched = sys.stderr.isatty()
    started = time.perf_counter()
    with predictions.writer(output) as write, tqdm(unit="image", disable=not watched, leave=False) as bar:
        for frame in inputs.batches(source, rules, batch_size):
            if not tally.rows:
                check_layout(frame, source, rules)
            answers, counts = answer(frame, predictor, rules)
            write(answers)
            tally.add(answers, counts)
            bar.update(len(frame))
        if not tally.rows:
            raise InputError(f"{source}: no images")
        prediction = tally.result(source, str(output), rules, time.perf_counter() - started)
        errors = [finding.message for finding in prediction.findings if finding.severity == "error"]
        if errors:
            raise InputError(f"{source}: {'; '.join(errors)}; nothing was written")
    logger = get_run_logger()
    logger.info("version %s: %s images, in %s", predictor.version, f"{prediction.rows:,}", output)
    for finding in prediction.findings:
        logger.warning("%s: %s", finding.check, finding.message)
    return prediction
