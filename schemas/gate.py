"""The gate: its rules, and the decision that it comes to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class GateRules(BaseModel):
    """What a candidate has to keep to become the champion."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min_accuracy: float = Field(0.97, ge=0, le=1, description="Test accuracy that every champion has to reach.")
    gate_alpha: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="Chance that a champion ever loses to a candidate that is worse than the margin.",
    )
    gate_margin: float = Field(
        0.1, ge=0, le=100, description="Points of accuracy by which a candidate may seem worse and still be as good."
    )
    max_calibration_error: float = Field(0.05, ge=0, le=1, description="Expected calibration error of a candidate.")
    max_model_mib: float = Field(20, gt=0, description="MiB of a candidate's weights.")
    max_latency_ms: float = Field(
        50, gt=0, description="Milliseconds that a candidate takes for one image, the median."
    )


DEFAULT_GATE = GateRules()


@dataclass(frozen=True)
class ClassTest:
    """One class' paired test: candidate against champion, whether its recall is worse."""

    label: int
    fixed: int
    made: int
    p_value: float


@dataclass(frozen=True)
class ChangedPrediction:
    """A test row that just one of candidate and champion has right: fixed if it is the candidate."""

    fixed: bool
    label: int
    picture: NDArray[np.uint8]


@dataclass(frozen=True)
class Decision:
    """Whether a candidate becomes champion, why, and every figure that it rests on.

    `fixed` are the mistakes of the champion that the candidate doesn't make, `made` its own new ones. `difference` is
    the candidate's accuracy less the champion's, `lower` the lower end of its interval at the level 1 - `alpha`, all
    in points. Without a champion to compare with these are None. The decision counts only if
    `after_event` is still the newest event in the store's history when it is recorded.
    """

    promoted: bool
    reason: str
    champion: int | None
    rows: int
    accuracy: float
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
    calibration_error: float | None = None
    model_mib: float | None = None
    latency_ms: float | None = None
    forced: bool = False
    after_event: int = 0
    changes: tuple[ChangedPrediction, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give everything but the pictures, as JSON takes it."""
        figures = dataclasses.asdict(dataclasses.replace(self, changes=()))
        del figures["changes"]
        return figures
