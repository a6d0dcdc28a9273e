"""What tasks hand to each other: a dataset, a trained network, its evaluation, a published version."""

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
    """A trained network, with the recipe and the epochs behind it.

    `fingerprint` covers data, recipe, code and locked dependencies; `digest` the weights. The probabilities
    (rows × 10) are those of the rows that were held out of training.
    """

    network: keras.Model
    recipe: Recipe
    history: tuple[EpochRecord, ...]
    fingerprint: str
    digest: str
    training_rows: int
    validation_rows: int
    held_out_probabilities: NDArray[np.float32]
    held_out_labels: NDArray[np.uint8]
    workers: int = 1


@dataclass(frozen=True)
class Abstention:
    """A confidence threshold, the share of test rows at or above it, and the accuracy on these.

    `threshold` is None where no rows were held out or no confidence is high enough: the network then always abstains.
    """

    threshold: float | None
    coverage: float
    accuracy: float | None


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of one class."""

    label: int
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Mistake:
    """A misclassified test row, by its number."""

    row: int
    label: int
    predicted: int
    confidence: float


@dataclass(frozen=True)
class Evaluation:
    """A network's metrics on the test rows.

    `confusion_matrix` is 10 × 10, rows true, columns predicted. `right` says of each row whether it was predicted
    correctly.
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
        """Count the misclassified rows."""
        return int(self.confusion_matrix.sum() - self.confusion_matrix.trace())

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics over all rows, ready for JSON."""
        return {
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "errors": self.errors,
            "log_loss": self.log_loss,
            "calibration_error": self.calibration_error,
            "confusion_matrix": self.confusion_matrix.tolist(),
        }


@dataclass(frozen=True)
class PublishedVersion:
    """The version that a run published or reused: where it is, its metrics, and the gate's decision.

    `unchanged` is true where nothing was trained because the version already has the same data, recipe, code and
    libraries. `artifact` is the id of its report in Prefect, None until it is there.
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
        """Describe the decision and its reason in one line."""
        if self.unchanged:
            same = f"version {self.version} was made of the same data, recipe, training code and libraries"
            return f"unchanged: {same}; --retrain trains again; {self.reason}"
        return f"{'promoted to champion' if self.promoted else 'not promoted'}: {self.reason}"

    @property
    def metrics_message(self) -> str:
        """Describe the metrics in one line."""
        low, high = self.interval
        return (
            f"version {self.version}: accuracy {self.accuracy:.2%} ({low:.2%} to {high:.2%}), "
            f"{self.errors} mistakes in {self.n_rows:,} test digits"
        )

    @property
    def summary(self) -> str:
        """Describe version, accuracy and decision in one line."""
        return f"version {self.version}, {self.accuracy:.2%}, {self.decision_message}"


@dataclass(frozen=True)
class Promotion:
    """A promotion by hand: the new champion, the version that it replaced, and the reason."""

    version: int
    replaced: int | None
    reason: str
    accuracy: float

    @property
    def summary(self) -> str:
        """Describe the new champion in one line."""
        replaced = "" if self.replaced is None else f", in place of version {self.replaced}"
        return f"version {self.version} is the champion{replaced} (accuracy {self.accuracy:.2%})"


@dataclass(frozen=True)
class VerificationResult:
    """A version that matches its card, and what was compared."""

    version: int
    summary: str
