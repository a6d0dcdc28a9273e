"""What the steps hand to each other: a dataset, a trained network, its evaluation."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uuid import UUID

    import keras
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from schemas.recipe import Recipe


@dataclass(frozen=True)
class Dataset:
    """A training and a test pixel frame; the fingerprint depends on rows and labels alone, not on their source."""

    name: str
    train: pd.DataFrame
    test: pd.DataFrame
    fingerprint: str


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch did.

    `accuracy` and `loss` are means over its rows, augmented where the recipe says so, each before the step it was for.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float


@dataclass(frozen=True)
class Trained:
    """A trained network with the recipe and the epochs that made it.

    `fingerprint` is that of data, recipe, code and locked dependencies; `digest` that of the weights.
    """

    network: keras.Model
    recipe: Recipe
    history: tuple[EpochRecord, ...]
    fingerprint: str
    digest: str
    training_rows: int
    validation_rows: int


@dataclass(frozen=True)
class ClassFigures:
    """How well one class is recognised."""

    label: int
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Mistake:
    """A test row that the network got wrong: its picture (28 × 28, `uint8`) and what was said of it."""

    row: int
    label: int
    predicted: int
    confidence: float
    picture: NDArray[np.uint8]


@dataclass(frozen=True)
class Evaluation:
    """A network's figures on the test frame. `confusion_matrix` is 10 × 10, rows true, columns predicted."""

    rows: int
    accuracy: float
    interval: tuple[float, float]
    confusion_matrix: NDArray[np.int64]
    classes: tuple[ClassFigures, ...]
    log_loss: float
    calibration_error: float
    mistakes: tuple[Mistake, ...]

    @property
    def errors(self) -> int:
        """Count the rows that were recognised wrongly."""
        return int(self.confusion_matrix.sum() - self.confusion_matrix.trace())


@dataclass(frozen=True)
class Run:
    """Everything that is told of one training run, in the report and in `metrics.json`.

    `seconds` holds the wall time of each stage so far, `start-up` (from the start of the process to the flow's first
    line) and `orchestration` (what the flow spent outside its stages).
    """

    dataset_name: str
    dataset_fingerprint: str
    training_rows: int
    validation_rows: int
    test_rows: int
    recipe: Recipe
    fingerprint: str
    weights_digest: str
    history: tuple[EpochRecord, ...]
    evaluation: Evaluation
    seconds: dict[str, float]
    libraries: dict[str, str]

    def metrics(self) -> dict[str, Any]:
        """Give the contents of `metrics.json`."""
        evaluation = self.evaluation
        return {
            "accuracy": evaluation.accuracy,
            "interval": list(evaluation.interval),
            "errors": evaluation.errors,
            "log_loss": evaluation.log_loss,
            "calibration_error": evaluation.calibration_error,
            "confusion_matrix": evaluation.confusion_matrix.tolist(),
            "classes": [dataclasses.asdict(figures) for figures in evaluation.classes],
            "mistakes": [
                {"row": m.row, "label": m.label, "predicted": m.predicted, "confidence": m.confidence}
                for m in evaluation.mistakes
            ],
            "seconds": self.seconds,
            "recipe": self.recipe.model_dump(mode="json"),
            "dataset": {
                "name": self.dataset_name,
                "fingerprint": self.dataset_fingerprint,
                "training_rows": self.training_rows,
                "validation_rows": self.validation_rows,
                "test_rows": self.test_rows,
            },
            "fingerprint": self.fingerprint,
            "weights_digest": self.weights_digest,
            "history": [dataclasses.asdict(record) for record in self.history],
            "libraries": self.libraries,
        }


@dataclass(frozen=True)
class Published:
    """Where a run's version stands in the store, its report in Prefect, and what it reached."""

    version: int
    folder: str
    artifact: UUID
    accuracy: float
    interval: tuple[float, float]
    errors: int
    rows: int
