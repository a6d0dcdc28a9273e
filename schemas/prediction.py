"""What predicting hands on: a version that can be asked, its answers to some images, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from schemas.profile import Profile
    from schemas.results import Abstention, CheckResult, Drift


@dataclass(frozen=True)
class Predictor:
    """A version that can be asked: `probabilities` takes pixels (rows × 784, `uint8`) and gives rows × 10.

    It abstains below its card's threshold, always if there is none; `profile` tells what it was trained on.
    """

    version: int
    threshold: float | None
    profile: Profile
    probabilities: Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class PredictionBatch:
    """What a version says of some images, a row each.

    `reason` names the row checks that an image fails, which leave it without an answer; it is empty for the others.
    `true` is what an image shows, -1 where that isn't known.
    """

    items: pd.Index
    pixels: NDArray[np.uint8]
    label: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    second: NDArray[np.uint8]
    abstained: NDArray[np.bool_]
    unlike_training: NDArray[np.bool_]
    distance: NDArray[np.float32]
    reason: NDArray[np.object_]
    true: NDArray[np.int16]


@dataclass(frozen=True)
class Example:
    """An image that the report draws (28 × 28), with what was said of it."""

    item: str
    picture: NDArray[np.uint8]
    label: int
    confidence: float
    second: int
    abstained: bool


@dataclass(frozen=True)
class ScoredPredictions:
    """How many of the images whose label is known were recognised.

    `confusion_matrix` is 10 × 10, rows true, columns predicted; `answered` tells the same of those not abstained from.
    """

    n_rows: int
    accuracy: float
    interval: tuple[float, float]
    confusion_matrix: NDArray[np.int64]
    answered: Abstention

    @property
    def errors(self) -> int:
        """Count the images that were recognised wrongly."""
        return int(self.confusion_matrix.sum() - self.confusion_matrix.trace())


@dataclass(frozen=True)
class Prediction:
    """What the answers to all images come to.

    `labels` and `abstained` count by digit (10), `confidences` by 20 equal steps from 0 to 1. `unanswered` counts the
    images without an answer by reason; no other count has them. `class_means` (10 × 784) are of the images by what they
    were taken for.
    """

    source: str
    version: int
    threshold: float | None
    output: str
    seconds: float
    n_rows: int
    labels: NDArray[np.int64]
    abstained: NDArray[np.int64]
    confidences: NDArray[np.int64]
    unlike_training: int
    unanswered: dict[str, int]
    drifts: tuple[Drift, ...]
    findings: tuple[CheckResult, ...]
    reference: str
    class_means: NDArray[np.float32]
    reference_means: NDArray[np.float32]
    least_sure: tuple[Example, ...]
    least_alike: tuple[Example, ...]
    score: ScoredPredictions | None
    artifact: UUID | None = None

    @property
    def summary(self) -> str:
        """Tell in a line what was done."""
        trusted = self.answered - int(self.abstained.sum())
        return f"version {self.version}: {self.n_rows:,} images of {self.source} into {self.output}, {trusted:,} surely"

    @property
    def answered(self) -> int:
        """Count the images that have an answer, abstained from or not."""
        return int(self.labels.sum())
