"""Report a prediction: draw its plots and publish its report in Prefect."""

from __future__ import annotations

import dataclasses
from typing import cast
from uuid import UUID

from prefect import task
from prefect.artifacts import create_markdown_artifact

from schemas.counts import count
from schemas.prediction import Prediction
from tasks.orchestration import events
from tasks.orchestration.retries import RETRIED
from tasks.watching import alarms


@task(task_run_name="report prediction", **RETRIED)
def report_prediction(prediction: Prediction) -> Prediction:
    """Publish the report and the drift event; return the prediction with the report's artifact id."""
    from artifacts.reports import markdown, plots, prediction_report

    pictures = plots.draw(prediction_report.SECTIONS, prediction)
    text = prediction_report.prediction_report(prediction, markdown.as_data_uris(pictures))
    description = (
        f"{markdown.inert(prediction.source)}: {count(prediction.n_rows, 'image')} by version {prediction.version}"
    )
    artifact = create_markdown_artifact(text, key="prediction-report", description=description)
    events.emit_drift(prediction.source, prediction.drifts)
    has_drifted = any(drift.exceeds_threshold for drift in prediction.drifts)
    earlier = events.drifted_before(prediction.source, alarms.DRIFTING_BATCHES - 1) if has_drifted else []
    events.emit(events.PREDICTED, "data", prediction.source, description, drifted=has_drifted)
    reason = alarms.drift([has_drifted, *earlier])
    events.raise_alarm(events.ALARM_DRIFT, "data", prediction.source, reason)
    return dataclasses.replace(prediction, artifact=cast("UUID", artifact))
