"""Compare: decide whether the candidate may replace the champion."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from prefect import task
from prefect.logging import get_run_logger

from schemas.errors import StoreError
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from artifacts.store.store import Store
    from schemas.gate import Decision, GateRules
    from schemas.images import Images
    from schemas.results import Dataset, Evaluation, TrainingResult
    from tasks.scoring.gate import Champion


@task(task_run_name="compare", **RETRIED)
@timed
def compare(  # noqa: PLR0913, all that a decision depends on
    trained: TrainingResult, evaluation: Evaluation, dataset: Dataset, store: Store, rules: GateRules, force: str | None
) -> Decision:
    """Compare the candidate with the champion on the test rows; the reason names a champion that can't be used."""
    from tasks.inference import model
    from tasks.scoring import gate

    state, images = store.state(), dataset.test
    candidate = gate.Candidate(
        right=evaluation.right,
        calibration_error=evaluation.calibration_error,
        model_mib=trained.network.count_params() * 4 / 2**20,
        latency_ms=model.latency_ms(trained.network, images.read(slice(0, 1))),
    )
    champion = None if state.champion is None else _champion(store, state.champion, images)
    decision = gate.decide(candidate, champion, images.labels, rules, refused_before=state.refusals, forced=force)
    decision = dataclasses.replace(decision, after_event=state.event)
    get_run_logger().info("%s: %s", "promote" if decision.promoted else "refuse", decision.reason)
    return decision


def _champion(store: Store, number: int, images: Images) -> Champion:
    """Return which of the rows the champion predicts correctly."""
    from tasks.inference import model
    from tasks.inference.predictor import predict_in_pieces
    from tasks.scoring.gate import Champion

    try:
        predict = model.load_version(store.verified_dir(number), number)
    except StoreError as error:
        return Champion(number, None, str(error))
    return Champion(number, predict_in_pieces(predict, images).argmax(axis=1) == images.labels)
