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
        description="Probability of ever promoting a model that is worse by the margin.",
    )
    gate_margin: float = Field(
        0.1, ge=0, le=100, description="Percentage points of accuracy that a candidate may lose."
    )
    max_calibration_error: float = Field(
        0.05, ge=0, le=1, description="Maximum expected calibration error of a candidate."
    )
    max_model_mib: float = Field(20, gt=0, description="Maximum size of a candidate's weights, in MiB.")
    max_latency_ms: float = Field(50, gt=0, description="Maximum median time per image, in milliseconds.")


DEFAULT_GATE = GateRules()


@dataclass(frozen=True)
class ClassTest:
    """Paired test whether the candidate's recall of a class is lower than the champion's; counts as in `Decision`."""

    label: int
    fixed: int
    made: int
    p_value: float


@dataclass(frozen=True)
class Decision:
    """Whether a candidate becomes the champion, the reason, and the metrics behind it.

    `fixed` counts the champion's mistakes that the candidate doesn't make, `made` the candidate's new ones;
    `fixed_rows` and `broken_rows` hold the first of these test rows. `difference` is the candidate's accuracy minus the
    champion's, `lower` its lower confidence bound at level 1 - `alpha`, both in percentage points. Fields are None if
    there is no champion to compare with. `refused_before` counts the candidates refused since the last promotion. The
    decision takes effect only if `after_event` is still the store's newest event when it is recorded.
    """

    promoted: bool
    reason: str
    champion: int | None
    rows: int
    accuracy: float
    calibration_error: float
    model_mib: float
    latency_ms: float
    champion_accuracy: float | None = None
    fixed: int | None = None
    made: int | None = None
    difference: float | None = None
    lower: float | None = None
    alpha: float | None = None
    refused_before: int = 0
    p_better: float | None = None
    p_worse: float | None = None
    classes: tuple[ClassTest, ...] = ()
    forced: bool = False
    fixed_rows: tuple[int, ...] = ()
    broken_rows: tuple[int, ...] = ()
    after_event: int = 0

    @property
    def is_significantly_better(self) -> bool:
        return self.p_better is not None and self.alpha is not None and self.p_better < self.alpha

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for `card.json` and `metrics.json`: all but the row numbers."""
        return {name: value for name, value in dataclasses.asdict(self).items() if not name.endswith("_rows")}
