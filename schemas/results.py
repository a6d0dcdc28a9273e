"""What the steps hand to each other: a dataset, a trained network, its evaluation."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    import keras
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from schemas.gate import Decision
    from schemas.images import Images
    from schemas.profile import Profile
    from schemas.recipe import Recipe
    from schemas.rules import Severity
    from schemas.shards import ShardManifest
    from schemas.training import EpochRecord

Part = Literal["train", "test"]


Plots = dict[str, bytes]
"""PNGs by the names of their files, without the suffix."""


@dataclass(frozen=True)
class InboxFile:
    """A file of the inbox, accepted by an earlier run or waiting to be checked.

    Its rows are in `frame`, or `fault` says why they can't be read. `digest` is that of a waiting file's content.
    """

    path: Path
    is_accepted: bool
    digest: str = ""
    frame: pd.DataFrame | None = None
    fault: str = ""


@dataclass(frozen=True)
class RawDataset:
    """The data of a source, unchanged: labels and pixels under the source's column names.

    The index is each row's number, from 0, or its picture's name. `test` is None where the source has no test part. Of
    a sharded source only its shards are known. `inbox_files` are the files of `inbox` whose rows may be added;
    `added` are the files whose rows were.
    """

    name: str
    train: pd.DataFrame | ShardManifest
    test: pd.DataFrame | ShardManifest | None
    source: str = ""
    test_source: str | None = None
    added: tuple[str, ...] = ()
    inbox: Path | None = None
    inbox_files: tuple[InboxFile, ...] = ()

    @property
    def parts(self) -> dict[Part, pd.DataFrame | ShardManifest]:
        """The parts that the source has."""
        train: dict[Part, pd.DataFrame | ShardManifest] = {"train": self.train}
        return train if self.test is None else train | {"test": self.test}


@dataclass(frozen=True)
class Dataset:
    """The images to train on and to test with, which passed validation, and its results.

    The fingerprint depends on rows and labels alone, not on their source. `profile` describes the training images.
    `memory` is the bound, in MiB, for a training that reads its images from disk; None where they are in memory.
    """

    name: str
    train: Images
    test: Images
    fingerprint: str
    profile: Profile
    validation: Validation
    memory: int | None = None


@dataclass(frozen=True)
class CheckResult:
    """What a check of the whole data found: an error stops the run, a warning is reported."""

    check: str
    severity: Severity
    message: str


@dataclass(frozen=True)
class Drift:
    """A measure of how far a part of the data has drifted from the reference, and its threshold.

    The threshold, `bound`, is the rule's or, in a small sample, what chance alone may give.
    """

    part: str
    name: str
    value: float
    bound: float

    @property
    def exceeds_threshold(self) -> bool:
        """Whether the data has drifted."""
        return self.value > self.bound

    @property
    def summary(self) -> str:
        """One line on the drift."""
        return f"{self.name} drifted by {self.value:.2f} from the reference; the threshold is {self.bound:.2f}"


@dataclass(frozen=True)
class Validation:
    """The results of validating the input data.

    `n_input`, `n_valid` and `n_quarantined` count the rows of each part, `reasons` those quarantined for each reason; a
    row may have several. `quarantined` holds the quarantined rows unchanged, with `part`, `item` and `reasons` before
    label and pixels; of shards it holds the first ones. `means` are the mean images of the training part's classes
    (10 × 784), None where no image was valid.
    """

    name: str
    source: str
    test_source: str | None
    added: tuple[str, ...]
    rules: dict[str, Any]
    n_input: dict[Part, int]
    n_valid: dict[Part, int]
    n_quarantined: dict[Part, int]
    reasons: dict[str, dict[Part, int]]
    quarantined: pd.DataFrame
    findings: tuple[CheckResult, ...]
    drifts: tuple[Drift, ...]
    repairs: tuple[str, ...]
    reference: str
    label_counts: dict[Part, list[int]]
    means: NDArray[np.float32] | None
    reference_means: NDArray[np.float32]

    @property
    def truncation_note(self) -> str:
        """A parenthesis for a sentence on the quarantined rows if `quarantined` holds only some; else ""."""
        if len(self.quarantined) == sum(self.n_quarantined.values()):
            return ""
        return f" (the first {self.quarantined['part'].value_counts().max():,} of each part)"

    @property
    def errors(self) -> list[CheckResult]:
        """The results that stop the run."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def refusal(self) -> str:
        """One line on why the data is refused."""
        return f"{self.name}: {'; '.join(error.message for error in self.errors)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of `validation.json`."""
        return {
            "name": self.name,
            "source": self.source,
            "test_source": self.test_source,
            "added": list(self.added),
            "rules": self.rules,
            "rows": {"input": self.n_input, "valid": self.n_valid, "quarantined": self.reasons},
            "labels": self.label_counts,
            "repairs": list(self.repairs),
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
            "reference": self.reference,
            "drift": [
                dataclasses.asdict(drift) | {"exceeds_threshold": drift.exceeds_threshold} for drift in self.drifts
            ],
        }


@dataclass(frozen=True)
class TrainingResult:
    """A trained network with the recipe and the epochs that made it.

    `fingerprint` is that of data, recipe, code and locked dependencies; `digest` that of the weights. The answers
    (rows × 10) are those to the rows that were held out of training.
    """

    network: keras.Model
    recipe: Recipe
    history: tuple[EpochRecord, ...]
    fingerprint: str
    digest: str
    training_rows: int
    validation_rows: int
    held_out_answers: NDArray[np.float32]
    held_out_labels: NDArray[np.uint8]
    workers: int = 1


@dataclass(frozen=True)
class Abstention:
    """From which confidence on to answer, set on held-out rows; how many test rows that lets be answered, how well.

    Without a threshold, because nothing was held out or no confidence is good enough, nothing is answered.
    """

    threshold: float | None
    coverage: float
    accuracy: float | None


@dataclass(frozen=True)
class ClassMetrics:
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
    """A network's figures on the test frame. `confusion_matrix` is 10 × 10, rows true, columns predicted.

    `right` tells of each test row whether it was recognised.
    """

    n_rows: int
    accuracy: float
    interval: tuple[float, float]
    confusion_matrix: NDArray[np.int64]
    classes: tuple[ClassMetrics, ...]
    log_loss: float
    calibration_error: float
    mistakes: tuple[Mistake, ...]
    abstention: Abstention
    right: NDArray[np.bool_]

    @property
    def errors(self) -> int:
        """Count the rows that were recognised wrongly."""
        return int(self.confusion_matrix.sum() - self.confusion_matrix.trace())

    def to_dict(self) -> dict[str, Any]:
        """Give the figures on all rows, as JSON takes them."""
        return {
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "errors": self.errors,
            "log_loss": self.log_loss,
            "calibration_error": self.calibration_error,
            "confusion_matrix": self.confusion_matrix.tolist(),
        }


@dataclass(frozen=True)
class Run:
    """Everything that is told of one training run, in the report and in `metrics.json`.

    `seconds` holds the wall time of each stage so far, `start-up` (from the start of the process to the flow's first
    line) and `orchestration` (what the flow spent outside its stages).
    """

    validation: Validation
    decision: Decision
    dataset_fingerprint: str
    training_rows: int
    validation_rows: int
    recipe: Recipe
    fingerprint: str
    weights_digest: str
    history: tuple[EpochRecord, ...]
    evaluation: Evaluation
    seconds: dict[str, float]
    environment: dict[str, Any]

    def metrics(self) -> dict[str, Any]:
        """Give the contents of `metrics.json`."""
        evaluation = self.evaluation
        return {
            **evaluation.to_dict(),
            "abstention": dataclasses.asdict(evaluation.abstention),
            "classes": [dataclasses.asdict(figures) for figures in evaluation.classes],
            "mistakes": [
                {"row": m.row, "label": m.label, "predicted": m.predicted, "confidence": m.confidence}
                for m in evaluation.mistakes
            ],
            "seconds": self.seconds,
            "recipe": self.recipe.model_dump(mode="json"),
            "dataset": {
                "name": self.validation.name,
                "fingerprint": self.dataset_fingerprint,
                "training_rows": self.training_rows,
                "validation_rows": self.validation_rows,
                "test_rows": evaluation.n_rows,
            },
            "decision": self.decision.to_dict(),
            "fingerprint": self.fingerprint,
            "weights_digest": self.weights_digest,
            "history": [dataclasses.asdict(record) for record in self.history],
            "environment": self.environment,
        }


@dataclass(frozen=True)
class PublishedVersion:
    """Where a run's version stands in the store, its report in Prefect, what it reached, and what was decided.

    `unchanged` tells that nothing was trained, because the version had been made before of the same data and recipe.
    `artifact` is None as long as nothing is in Prefect.
    """

    version: int
    folder: str
    promoted: bool
    reason: str
    accuracy: float
    interval: tuple[float, float]
    errors: int
    n_rows: int
    unchanged: bool = False
    artifact: UUID | None = None

    @property
    def decision_message(self) -> str:
        """Tell in a line what was decided, and why."""
        if self.unchanged:
            made = f"version {self.version} was made of the same data, recipe, training code and libraries"
            return f"unchanged: {made}; --retrain trains again; {self.reason}"
        return f"{'promoted to champion' if self.promoted else 'not promoted'}: {self.reason}"

    @property
    def metrics_message(self) -> str:
        """Tell in a line what was reached."""
        low, high = self.interval
        return (
            f"version {self.version}: accuracy {self.accuracy:.2%} ({low:.2%} to {high:.2%}), "
            f"{self.errors} mistakes in {self.n_rows:,} test digits"
        )

    @property
    def summary(self) -> str:
        """Tell in one line what matters, that first."""
        return f"version {self.version}, {self.accuracy:.2%}, {self.decision_message}"


@dataclass(frozen=True)
class Promotion:
    """Which version became the champion by hand, in place of which, and why."""

    version: int
    replaced: int | None
    reason: str
    accuracy: float

    @property
    def summary(self) -> str:
        """Tell what is in use now."""
        over = "" if self.replaced is None else f", in place of version {self.replaced}"
        return f"version {self.version} is the champion{over} (accuracy {self.accuracy:.2%})"


@dataclass(frozen=True)
class VerificationResult:
    """A version that is what its card says, and in what that was proven."""

    version: int
    summary: str
