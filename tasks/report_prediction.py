"""Report a prediction: draw it, and publish it in Prefect."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, cast

from prefect.artifacts import create_markdown_artifact

from tasks import events
from tasks.stage import stage

if TYPE_CHECKING:
    from uuid import UUID

    from schemas.prediction import Prediction

PREDICTION_KEY = "prediction-report"


@stage
def report_prediction(prediction: Prediction) -> Prediction:
    """Publish the report of a prediction; give the prediction with the artifact's id."""
    from artifacts import figures, markdown
    from artifacts.prediction_report import prediction_report

    text = prediction_report(prediction, markdown.embedded(figures.of_a_prediction(prediction)))
    told = f"{prediction.source}: {prediction.rows:,} images by version {prediction.version}"
    artifact = create_markdown_artifact(text, key=PREDICTION_KEY, description=told)
    events.of_drift(prediction.source, prediction.drifts)
    return dataclasses.replace(prediction, artifact=cast("UUID", artifact))
