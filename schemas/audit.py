"""The result of an audit of labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from schemas.counts import count

if TYPE_CHECKING:
    import pandas as pd

    from schemas.validation import Part

LABEL, DUPLICATE, OUTLIER = "label", "near-duplicate", "outlier"
KINDS = {
    LABEL: "networks that were trained on other rows give the label less than half of the probability",
    DUPLICATE: "almost the same image has another label, and the networks contradict this one",
    OUTLIER: "further from the training images than all but one in a thousand of them",
}
"""What makes a row a suspect; a row may be one for several reasons."""
COLUMNS = ("kind", "part", "row", "item", "label", "proposed", "score", "confident", "reason")
"""`row` counts the valid rows of a part from 0; `item` is the row's number or name in the source.

The higher the score, the more suspect; scores of different kinds can't be compared. `confident` marks label errors by
the rule of confident learning.
"""


@dataclass(frozen=True)
class Audit:
    """The suspects of a dataset, with `COLUMNS`, the worst of each kind first; `folder` is their address."""

    name: str
    fingerprint: str
    n_rows: Mapping[Part, int]
    network: str
    n_folds: int
    suspects: pd.DataFrame
    folder: str = ""
    artifact: UUID | None = None

    def of_kind(self, kind: str) -> pd.DataFrame:
        return self.suspects[self.suspects["kind"] == kind]

    @property
    def n_confident(self) -> int:
        return int(self.suspects["confident"].sum())

    @property
    def summary(self) -> str:
        counts = ", ".join(f"{len(self.of_kind(kind)):,} {kind}" for kind in KINDS)
        rows = count(sum(self.n_rows.values()), "row")
        return f"{rows} of {self.name}: {self.n_confident:,} probable label errors; suspects: {counts}"
