"""Results of tasks: a dataset, a trained network, its evaluation, a published version."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from schemas.abstention import Abstention
from schemas.counts import count
from schemas.exports import Export
from schemas.review import Correction
from schemas.slices import CorruptedAnswers, Division, SliceMetrics
from schemas.validation import Part, Validation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    import keras
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from schemas.images import Images
    from schemas.profile import Profile
    from schemas.recipe import Recipe
    from schemas.shards import ShardManifest
    from schemas.training import EpochRecord, Precision

Plots = dict[str, bytes]
"""PNGs by the names of their files, without the suffix."""


@dataclass(frozen=True)
class InboxFile:
    """A file of the inbox, accepted by an earlier run or waiting; only a waiting file has the `digest` of its content.

    `frame` holds its rows, or `corrections` those of other rows, or `fault` the reason why it can't be read.
    """

    path: Path
    is_accepted: bool
    digest: str = ""
    frame: pd.DataFrame | None = None
    corrections: tuple[Correction, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class RawDataset:
    """The data of a source, unchanged: labels and pixels under the source's column names.

    The index holds each row's number, from 0, or its picture's name. A sharded source has only its manifest.
    `inbox_files` are the files of `inbox` whose rows may be added, `added` the paths of those that were added,
    `corrections` what the others of them correct. `notes` say, a line each, what was guessed or left out of the source.
    """

    name: str
    train: pd.DataFrame | ShardManifest
    test: pd.DataFrame | ShardManifest | None
    source: str = ""
    test_source: str | None = None
    added: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()
    inbox: Path | None = None
    inbox_files: tuple[InboxFile, ...] = ()
    notes: tuple[str, ...] = ()

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
    `test_origin` divides the test rows by the file that they come from, if there are several, but not too many.
    `read_items` returns the names in the source of a part's rows, by ascending rows. `suspects` are the test rows whose
    labels an audit of the same data doubts, by a name of the rows; empty if there was none.
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
    test_origin: Division | None = None
    read_items: Callable[[Part, NDArray[np.int64]], list[str]] | None = None
    suspects: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)


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
    precision: Precision = "float32"
    """Of its teacher's training, if it has one: only a cnn computes with anything else than `float32`."""


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


def interval_text(interval: Sequence[float]) -> str:
    """Format an interval of accuracies: `97.24% to 97.84%`."""
    low, high = interval
    return f"{low:.2%} to {high:.2%}"


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
class RestAccuracy:
    """The accuracy on the test rows without some, such as `suspect labels`."""

    left_out: str
    n_left_out: int
    n_rows: int
    errors: int
    interval: tuple[float, float]

    @property
    def accuracy(self) -> float:
        return 1 - self.errors / self.n_rows


@dataclass(frozen=True)
class Evaluation(ScoredPredictions):
    """A network's metrics on the test rows; `right` is True for rows that were predicted correctly.

    With `n_folds`, each row was predicted by a network that was trained on the other folds; then no images are
    corrupted.
    """

    classes: tuple[ClassMetrics, ...]
    log_loss: float
    calibration_error: float
    mistakes: tuple[Mistake, ...]
    right: NDArray[np.bool_]
    n_folds: int = 0
    without_suspects: tuple[RestAccuracy, ...] = ()
    divisions: tuple[Division, ...] = ()
    slices: tuple[SliceMetrics, ...] = ()
    robustness: CorruptedAnswers | None = None

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
    exports: tuple[Export, ...] = ()

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
        store = self.folder.rpartition("/versions/")[0]
        command = f"flows/promote_flow.py --version {self.version} --store {store}"
        return f"not promoted: {self.reason}; to promote it anyway, run {command}"

    @property
    def metrics_message(self) -> str:
        return (
            f"version {self.version}: accuracy {self.accuracy:.2%} ({interval_text(self.interval)}), "
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
        return f"version {self.version}, accuracy {self.accuracy:.2%}, is the champion{replaced}"


@dataclass(frozen=True)
class VerificationResult:
    """A version that matches its card."""

    version: int
    summary: str
