"""A loaded version, its predictions for a batch, and the totals over all batches."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, Self

from schemas.counts import count

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from schemas.profile import Profile
    from schemas.results import ScoredPredictions
    from schemas.validation import CheckResult, Drift


UNREADABLE, SEVERAL_DIGITS = "unreadable", "several digits"
FILE_FAULTS = {
    UNREADABLE: "the file can't be read; the predictions file has the error",
    SEVERAL_DIGITS: "the picture holds several digits; crop one per picture",
}
"""Why a file has no prediction; in a batch's `fault` with a colon and the error."""
OutputFormat = Literal["predictions", "kaggle"]


@dataclass(frozen=True)
class Predictor:
    """A loaded version: `probabilities` takes pixels (rows × 784, `uint8`) and returns rows × 10.

    It abstains below `threshold`, or always if that is None; `level` is the accuracy that is proven above it.
    `profile` describes its training images.
    """

    version: int
    threshold: float | None
    profile: Profile
    probabilities: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    level: float | None = None


@dataclass(frozen=True)
class PredictionBatch:
    """A version's predictions for some images, one row each.

    `fault` names the row checks that an image fails, or why its file has no image; only where it is empty is the
    prediction valid. `reason` says in words why there is no prediction, or why not to trust it; empty if there is
    nothing to say. `true_label` is -1 if it isn't known.
    """

    items: pd.Index
    pixels: NDArray[np.uint8]
    label: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    second: NDArray[np.uint8]
    abstained: NDArray[np.bool_]
    unlike_training: NDArray[np.bool_]
    distance: NDArray[np.float32]
    fault: NDArray[np.object_]
    reason: NDArray[np.object_]
    true_label: NDArray[np.int16]

    def take(self, rows: slice | NDArray[np.int64]) -> Self:
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class Example:
    """An image for the report (28 × 28), with its prediction."""

    item: str
    picture: NDArray[np.uint8]
    label: int
    confidence: float
    second: int
    abstained: bool
    reason: str = ""


@dataclass(frozen=True)
class Prediction:
    """Totals over the predictions for all images.

    `labels` and `abstained` count by predicted digit, `confidences` by 20 equal bins from 0 to 1. `invalid` counts the
    images without a prediction by reason, `unpredicted` names the first ones; other counts leave them out.
    `class_means` (10 × 784) are by predicted digit.
    `notes` say what was guessed or left out of the source.
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
    invalid: dict[str, int]
    drifts: tuple[Drift, ...]
    findings: tuple[CheckResult, ...]
    reference: str
    class_means: NDArray[np.float32]
    reference_means: NDArray[np.float32]
    least_confident: tuple[Example, ...]
    least_similar: tuple[Example, ...]
    score: ScoredPredictions | None
    level: float | None = None
    unpredicted: tuple[str, ...] = ()
    artifact: UUID | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_predicted(self) -> int:
        return int(self.labels.sum())

    @property
    def summary(self) -> str:
        return (
            f"version {self.version}: {count(self.n_rows, 'image')} of {self.source} written to {self.output}, "
            f"abstained from {self.abstained.sum():,}"
        )
