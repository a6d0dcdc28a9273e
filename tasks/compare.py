"""Compare: decide whether the candidate may replace the version in use."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from prefect.logging import get_run_logger

from artifacts.store import Store
from schemas.errors import StoreError
from tasks.stage import stage

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from schemas.gate import Decision, GateRules
    from schemas.results import Dataset, Evaluation, Trained
    from tasks.scoring.gate import Champion


@stage
def compare(  # noqa: PLR0913, what the gate looks at
    trained: Trained, evaluation: Evaluation, dataset: Dataset, store: Path, rules: GateRules, force: str | None
) -> Decision:
    """Hold the candidate against the champion on the dataset's test rows; a champion that can't be asked is told of."""
    from schemas.pixel_frame import labels_of, pixels_of
    from tasks.scoring import gate
    from tasks.training import inference

    versions = Store(store)
    number = versions.champion()
    pixels, labels = pixels_of(dataset.test), labels_of(dataset.test)
    candidate = gate.Candidate(
        right=evaluation.right,
        calibration_error=evaluation.calibration_error,
        model_mib=trained.network.count_params() * 4 / 2**20,
        latency_ms=inference.latency_ms(trained.network, pixels[:1]),
    )
    champion = None if number is None else _champion(versions, number, pixels, labels)
    decision = gate.decide(candidate, champion, labels, rules, refused_before=versions.refusals(), forced=force)
    if champion is not None and champion.right is not None:
        decision = dataclasses.replace(decision, changes=gate.changes(candidate.right, champion.right, pixels, labels))
    verdict = "promote" if decision.promoted else "refuse"
    get_run_logger().info("%s: %s", verdict, decision.reason)
    return decision


def _champion(store: Store, number: int, pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Champion:
    """Ask the champion about the same rows."""
    from tasks.scoring.gate import Champion
    from tasks.training import inference

    try:
        ask = inference.of_version(store, number)
    except StoreError as error:
        return Champion(number, None, str(error))
    return Champion(number, ask(pixels).argmax(axis=1) == labels)
