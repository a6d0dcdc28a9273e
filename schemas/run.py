"""One training run, as the report, the card and `metrics.json` describe it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from schemas.gate import Decision
from schemas.results import Dataset, Evaluation, TrainingResult

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

    dataset: Dataset
    training_result: TrainingResult
    evaluation: Evaluation
    decision: Decision
    recipe_name: str
    seconds: dict[str, float]
    resources: Resources
    environment: dict[str, Any]

    def metrics(self) -> dict[str, Any]:
        """Return the contents of `metrics.json`."""
        trained, evaluation = self.training_result, self.evaluation
        return {
            **evaluation.to_dict(),
            "abstention": dataclasses.asdict(evaluation.abstention),
            "classes": [dataclasses.asdict(metrics) for metrics in evaluation.classes],
            "mistakes": [dataclasses.asdict(mistake) for mistake in evaluation.mistakes],
            "slices": [dataclasses.asdict(metrics) for metrics in evaluation.slices],
            "corruptions": evaluation.robustness.accuracies if evaluation.robustness else {},
            "seconds": self.seconds,
            "resources": self.resources.to_dict(),
            "recipe": trained.recipe.model_dump(mode="json"),
            "recipe_name": self.recipe_name,
            "dataset": {
                "name": self.dataset.validation.name,
                "fingerprint": self.dataset.fingerprint,
                "training_rows": trained.training_rows,
                "validation_rows": trained.validation_rows,
                "test_rows": evaluation.n_rows,
            },
            "decision": self.decision.to_dict(),
            "fingerprint": trained.fingerprint,
            "weights_digest": trained.digest,
            "history": [dataclasses.asdict(record) for record in trained.history],
            "environment": self.environment,
        }
