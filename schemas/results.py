"""Results of tasks: a dataset, a trained network, its evaluation, a published version."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from schemas.abstention import Abstention
from schemas.counts import count

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
    """A file of the inbox, accepted by an earlier run or waiting; only a waiting file has the `digest` of its content.

    `frame` holds its rows, or `fault` the reason why they can't be read.
    """

    path: Path
    is_accepted: bool
    digest: str = ""
    frame: pd.DataFrame | None = None
    fault: str = ""


@dataclass(frozen=True)
class RawDataset:
    """The data of a source, unchanged: labels and pixels under the source's column names.

    The index holds each row's number, from 0, or its picture's name. A sharded source has only its manifest.
    `inbox_files` are the files of `inbox` whose rows may be added, `added` the paths of those that were added.
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
        train: dict[Part, pd.DataFrame | ShardManifest] = {"train": self.train}
        return train if self.test is None else train | {"test": self.test}


@dataclass(frozen=True)
class Dataset:
    """Validated images, with the results of validation.

    The fingerprint depends on pixels and labels alone; `profile` describes the training images. The digests, one a row,
    tell equal images. `memory`, in MiB, limits a training that reads images from disk; None if they are in memory. With
    too few rows for a test part, `test` is all of `train`, to be evaluated by cross-validation with `n_folds`.
    """

    name: str
    train: Images
    test: Images
    train_digests: NDArray[np.uint64]
    test_digests: NDArray[np.uint64]
    fingerprint: str
    profile: Profile
    validation: Validation
    memory: int | None = None
    n_folds: int = 0


@dataclass(frozen=True)
class CheckResult:
    """The result of a check of the whole data: an error stops the run, a warning is reported."""

    check: str
    severity: Severity
    message: str


@dataclass(frozen=True)
class Drift:
    """The drift of a part of the data from the reference. The threshold, `bound`, is higher for few rows."""

    part: str
    name: str
    value: float
    bound: float

    @property
    def exceeds_threshold(self) -> bool:
        return self.value > self.bound

    @property
    def summary(self) -> str:
        return f"{self.name} drifted by {self.value:.2f} from the reference; the threshold is {self.bound:.2f}"


MIN_CONFIRMED = 0.5


@dataclass(frozen=True)
class LabelAgreement:
    """How far the labels of a part or file agree with others: shares of a sample of its `n_rows`.

    `reference` is the share that the reference's nearest class mean confirms, `champion` that of the champion, if any.
    `contradicted` labels are unlikely by the other images. If the labels were mixed up, `digits` holds the digit that
    each label stands for.
    """

    n_rows: int
    reference: float
    champion: float | None
    contradicted: float
    digits: tuple[int, ...] | None

    @property
    def is_denied(self) -> bool:
        """Whether both the champion and the reference contradict most of the labels."""
        return self.champion is not None and max(self.champion, self.reference) < MIN_CONFIRMED


@dataclass(frozen=True)
class Validation:
    """The results of validating the input data.

    `reasons` counts quarantined rows by failed check; a row may fail several. `quarantined` holds these rows unchanged
    (of shards, the first ones), with `part`, `item` and `reasons` before label and pixels. `means` are the mean images
    of the training part's classes (10 × 784), None if no image was valid. `label_agreement` has the parts, and the
    inbox's files as `done/<name>`.
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
    label_agreement: dict[str, LabelAgreement]
    means: NDArray[np.float32] | None
    reference_means: NDArray[np.float32]

    @property
    def truncation_note(self) -> str:
        """The text " (the first n of each part)" if `quarantined` holds only some of the quarantined rows; else ""."""
        if len(self.quarantined) == sum(self.n_quarantined.values()):
            return ""
        return f" (the first {self.quarantined['part'].value_counts().max():,} of each part)"

    @property
    def errors(self) -> list[CheckResult]:
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def refusal(self) -> str:
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
            "label_agreement": {name: dataclasses.asdict(value) for name, value in self.label_agreement.items()},
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

    `fingerprint` covers data, recipe, code and locked dependencies; `digest` the weights. Probabilities are rows × 10.
    After cross-validation, the held-out rows are all training rows, each predicted by a network of another fold.
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


def rows_text(n_rows: int, n_folds: int) -> str:
    """Format what was evaluated on: `10,000 test digits`, or `200 digits in 5-fold cross-validation`."""
    if n_folds:
        return f"{count(n_rows, 'digit')} in {n_folds}-fold cross-validation"
    return count(n_rows, "test digit")


@dataclass(frozen=True)
class ScoredPredictions:
    """Metrics over rows whose label is known. `confusion_matrix` is 10 × 10, rows true, columns predicted."""

    n_rows: int
    accuracy: float
    interval: tuple[float, float]
    confusion_matrix: NDArray[np.int64]
    abstention: Abstention

    @property
    def errors(self) -> int:
        return int(self.confusion_matrix.sum() - self.confusion_matrix.trace())


@dataclass(frozen=True)
class Evaluation(ScoredPredictions):
    """A network's metrics on the test rows; `right` is True for rows that were predicted correctly.

    With `n_folds`, each row was predicted by a network that was trained on the other folds.
    """

    classes: tuple[ClassMetrics, ...]
    log_loss: float
    calibration_error: float
    mistakes: tuple[Mistake, ...]
    right: NDArray[np.bool_]
    n_folds: int = 0

    @property
    def rows_text(self) -> str:
        return rows_text(self.n_rows, self.n_folds)

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics over all rows."""
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
    """The version that a run published or, if `unchanged`, reused; `artifact` is the id of its report in Prefect."""

    version: int
    folder: str
    promoted: bool
    reason: str
    accuracy: float
    interval: tuple[float, float]
    errors: int
    n_rows: int
    n_folds: int = 0
    unchanged: bool = False
    artifact: UUID | None = None

    @classmethod
    def from_card(cls, card: dict[str, Any], folder: str) -> Self:
        decision, metrics = card["decision"], card["figures"]
        return cls(
            version=card["version"],
            folder=folder,
            promoted=decision["promoted"],
            reason=decision["reason"],
            accuracy=metrics["accuracy"],
            interval=tuple(metrics["interval"]),
            errors=metrics["errors"],
            n_rows=card["data"]["rows"]["test"],
            n_folds=card["data"].get("folds", 0),
        )

    @property
    def outcome(self) -> str:
        """The name of the run's final state in Prefect, which `deployment/automations.yaml` lists."""
        return "Unchanged" if self.unchanged else "Promoted" if self.promoted else "Refused"

    @property
    def decision_message(self) -> str:
        if self.unchanged:
            same = f"version {self.version} has the same data, recipe, training code and libraries"
            return f"unchanged: {same}; use --retrain to train anyway; {self.reason}"
        if self.promoted:
            return f"promoted to champion: {self.reason}"
        return f"not promoted: {self.reason}; to promote it anyway, run promote_flow.py --version {self.version}"

    @property
    def metrics_message(self) -> str:
        low, high = self.interval
        return (
            f"version {self.version}: accuracy {self.accuracy:.2%} ({low:.2%} to {high:.2%}), "
            f"{count(self.errors, 'mistake')} in {rows_text(self.n_rows, self.n_folds)}"
        )

    @property
    def summary(self) -> str:
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
        replaced = "" if self.replaced is None else f", in place of version {self.replaced}"
        return f"version {self.version} is the champion{replaced} (accuracy {self.accuracy:.2%})"


@dataclass(frozen=True)
class VerificationResult:
    """A version that matches its card."""

    version: int
    summary: str
