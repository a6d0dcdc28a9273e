"""Predict: check and predict a source's images with a version, and write the predictions to a file."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from tqdm import tqdm

from artifacts.store.store import Store
from schemas.counts import count
from schemas.prediction import OutputFormat, Prediction, PredictionBatch, Predictor
from schemas.rules import InputRules
from tasks.orchestration.retries import RETRIED


@task(task_run_name="predict {source}", **RETRIED)
def predict(  # noqa: PLR0913, the parameters of the flow
    source: str,
    predictor: Predictor,
    output: Path,
    rules: InputRules,
    batch_size: int,
    *,
    output_format: OutputFormat,
    strict: bool,
    archive: str = "",
    queue: Store | None = None,
) -> Prediction:
    """Predict each image of a source; raise InputError, and write nothing, if it can't be read or has drifted.

    The images that a person should look at are added to the review queue of the store `queue`, if there is one.
    """
    from artifacts import predictions
    from artifacts.store import review
    from tasks.inference.start_up import memory_errors
    from tasks.prediction import stream
    from tasks.reviewing import entries

    collector = entries.Collector()

    def on_batch(batch: PredictionBatch) -> None:
        bar.update(len(batch.items))
        if queue is not None:
            collector.add(entries.of_predictions(batch, predictor, source))

    with tqdm(unit="image", disable=None, leave=False) as bar, memory_errors():
        prediction = stream.predict(
            source, predictor, output, rules, batch_size, on_batch, output_format=output_format, strict=strict
        )
    logger = get_run_logger()
    if queue is not None:
        review.add(queue, collector.entries)
        logger.info("added to the review queue: %s", count(collector.entries["item"].nunique(), "image"))
    if archive:
        logger.info("a copy is kept as %s", predictions.keep_copy(output, Path(archive), (flow_run.get_id() or "")[:8]))
    for note in prediction.notes:
        logger.info("%s", note)
    logger.info("version %s: %s images, written to %s", predictor.version, f"{prediction.n_rows:,}", output)
    for finding in prediction.findings:
        logger.warning("%s: %s", finding.check, finding.message)
    return prediction


def preload() -> None:
    """Import the slow libraries that predicting needs, while a Prefect server starts."""
    from tasks.inference import start_up

    start_up.preload("artifacts.reports.plots", "tasks.prediction.stream", "tasks.sources.npz")
