"""Report a prediction: draw it, and publish it in Prefect."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, cast

from prefect import task
from prefect.artifacts import create_markdown_artifact

from tasks.orchestration import events
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from uuid import UUID

    from schemas.prediction import Prediction

PREDICTION_KEY = "prediction-report"


@task(task_run_name="report prediction", **RETRIED)
@timed
def report_prediction(prediction: Prediction) -> Prediction:
    """Publish the report of a prediction; give the prediction with the artifact's id."""
    from artifacts.reports import markdown, plots
    from artifacts.reports.prediction_report import prediction_report

    text = prediction_report(prediction, markdown.embedded(plots.prediction_plots(prediction)))
    told = f"{prediction.source}: {prediction.n_rows:,} images by version {prediction.version}"
    artifact = create_markdown_artifact(text, key=PREDICTION_KEY, description=told)
    events.emit_drift(prediction.source, prediction.drifts)
    return dataclasses.replace(prediction, artifact=cast("UUID", artifact))
