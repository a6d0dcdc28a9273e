"""One training run, as the report, the card and `metrics.json` describe it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from schemas.gate import Decision
from schemas.recipe import Recipe
from schemas.results import Evaluation
from schemas.training import EpochRecord
from schemas.validation import Validation

WATTS_PER_CORE = 12.0
"""Power of a busy core: what Green Algorithms (Lannelongue et al. 2021) assumes for an unknown processor."""


@dataclass(frozen=True)
class Resources:
    """What a run used: processor time, and peak memory. Other machines of a cluster aren't included."""

    cpu_seconds: float
    peak_memory_mib: float

    @property
    def watt_hours(self) -> float:
        """An estimate from the processor time alone, without memory, idle power and cooling."""
        return self.cpu_seconds * WATTS_PER_CORE / 3600

    def to_dict(self) -> dict[str, float]:
        return dataclasses.asdict(self) | {"watt_hours": self.watt_hours, "assumed_watts_per_core": WATTS_PER_CORE}


@dataclass(frozen=True)
class Run:
    """One training run.

    `recipe_name` is a preset or the name of a recipe file. `seconds` has an entry for each task, for `start-up`, and
    for `orchestration` between tasks.
    """

    validation: Validation
    decision: Decision
    dataset_fingerprint: str
    training_rows: int
    validation_rows: int
    recipe: Recipe
    recipe_name: str
    fingerprint: str
    weights_digest: str
    history: tuple[EpochRecord, ...]
    evaluation: Evaluation
    seconds: dict[str, float]
    resources: Resources
    environment: dict[str, Any]

    def metrics(self) -> dict[str, Any]:
        """Return the contents of `metrics.json`."""
        evaluation = self.evaluation
        return {
            **evaluation.to_dict(),
            "abstention": dataclasses.asdict(evaluation.abstention),
            "classes": [dataclasses.asdict(metrics) for metrics in evaluation.classes],
            "mistakes": [dataclasses.asdict(mistake) for mistake in evaluation.mistakes],
            "slices": [dataclasses.asdict(metrics) for metrics in evaluation.slices],
            "corruptions": evaluation.corrupted.accuracies if evaluation.corrupted else {},
            "seconds": self.seconds,
            "resources": self.resources.to_dict(),
            "recipe": self.recipe.model_dump(mode="json"),
            "recipe_name": self.recipe_name,
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
