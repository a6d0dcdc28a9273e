"""The gate's thresholds and its decision."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class GateRules(BaseModel):
    """Thresholds of the gate, applied by `CRITERIA` in `tasks/scoring/gate.py`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min_accuracy: float = Field(0.97, ge=0, le=1, description="Minimum test accuracy of a candidate.")
    gate_alpha: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="Significance level: bounds the probability of promoting by luck.",
    )
    gate_margin: float = Field(
        0,
        ge=0,
        le=100,
        description="Percentage points that a candidate may be worse than the best champion so far.",
    )
    max_test_overlap: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="Maximum share of test rows that a champion was trained on; they are left out.",
    )
    max_calibration_error: float = Field(
        0.05, ge=0, le=1, description="Maximum expected calibration error of a candidate."
    )
    max_model_mib: float = Field(20, gt=0, description="Maximum size of a candidate's weights, in MiB.")
    max_latency_ms: float = Field(50, gt=0, description="Maximum median time per image, in milliseconds.")
    max_robustness_loss: float = Field(
        100,
        ge=0,
        le=100,
        description="Percentage points of accuracy on corrupted images that a candidate may lose; 100: off.",
    )


DEFAULT_GATE = GateRules()


@dataclass(frozen=True)
class SliceTest:
    """Paired test whether the candidate is worse than the champion in a slice; counts as in `Comparison`.

    The p-value is corrected for the number of slices.
    """

    division: str
    slice: str
    n_rows: int
    fixed: int
    made: int
    p_value: float

    def __str__(self) -> str:
        return f"{self.division} {self.slice}"


@dataclass(frozen=True)
class CorruptionComparison:
    """The accuracy of the candidate and of the champion on images with one corruption."""

    corruption: str
    accuracy: float
    champion_accuracy: float


@dataclass(frozen=True)
class Comparison:
    """A candidate against the champion, and against `best`, the best champion so far, on `n_rows` test rows.

    Test rows with the same image as another one, and those that one of the champions was trained on, are left out.
    `fixed` counts the champion's mistakes that the candidate doesn't make, `made` the candidate's new ones;
    `fixed_rows` and `broken_rows` hold the first of these rows. `p_better` and `p_worse` are from McNemar's exact test.

    The gate decides by `gain`, which counts the answers to shifted images, too: by its `p_value`, which has to be
    at most `p_threshold`, or by `lower`, its lower bound against `best` at 1 - `p_threshold`, which has to reach
    -`margin`. `refused_before` counts the refused candidates that lowered the threshold, `new_rows` the training rows
    that the champion wasn't trained on. Differences are in percentage points.
    """

    n_rows: int
    n_repeated: int
    n_trained_on: int
    champion_accuracy: float
    fixed: int
    made: int
    difference: float
    p_better: float
    p_worse: float
    gain: float
    p_value: float
    p_threshold: float
    refused_before: int
    best: int
    lower: float
    margin: float
    new_rows: int
    slices: tuple[SliceTest, ...] = ()
    corruptions: tuple[CorruptionComparison, ...] = ()
    fixed_rows: tuple[int, ...] = ()
    broken_rows: tuple[int, ...] = ()

    @property
    def robustness_loss(self) -> float:
        """How much less accurate the candidate is on corrupted images, in percentage points; 0 without any."""
        losses = [one.champion_accuracy - one.accuracy for one in self.corruptions]
        return 100 * sum(losses) / max(len(losses), 1)

    @property
    def is_better(self) -> bool:
        """Whether the candidate is significantly better than the champion, and not behind on the images themselves."""
        return self.p_value <= self.p_threshold and self.fixed >= self.made

    @property
    def is_as_good(self) -> bool:
        """Whether the candidate is within the margin, if there is one."""
        return self.margin > 0 and self.lower >= -self.margin


@dataclass(frozen=True)
class Decision:
    """Whether a candidate becomes the champion, the reason, and what it was decided by.

    `measurements` are those of the candidate alone, by the names of their criteria. `comparison` is None if there is no
    champion to compare with. A candidate that `is_proven` becomes the best champion so far, and gives the candidates
    after it the whole of alpha again. A refusal that `counts` lowers their `p_threshold`. The decision takes effect
    only if `after_event` is still the store's newest event when it is recorded.
    """

    promoted: bool
    reason: str
    champion: int | None
    rows: int
    accuracy: float
    measurements: dict[str, float]
    comparison: Comparison | None = None
    forced: bool = False
    is_proven: bool = False
    counts: bool = False
    after_event: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, with those of the comparison beside them, for `card.json` and `metrics.json`."""
        fields = dataclasses.asdict(self)
        fields |= fields.pop("comparison") or {"fixed": None, "made": None}
        return {name: value for name, value in fields.items() if name not in {"fixed_rows", "broken_rows"}}
