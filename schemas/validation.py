"""Results of validating data: checks, drift, agreement of labels, counts of rows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from schemas.review import Correction, added_digests, summarize
from schemas.rules import Severity

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Part = Literal["train", "test"]


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
"""Share of confirmed labels below which most are contradicted."""


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
    inbox's files as `done/<name>`. `corrections` have their outcomes. `notes` say what readers guessed or left out. In
    cross-validation there is no test part.
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
    notes: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()

    @property
    def added_digests(self) -> list[int]:
        """The digests of the images that corrections added, ascending."""
        return added_digests(self.corrections)

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
            "corrections": summarize(self.corrections),
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
