"""Compare: decide by the gate whether the candidate replaces the champion."""

from __future__ import annotations

import dataclasses

from prefect import task
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from schemas.errors import StoreError
from schemas.gate import Decision, GateRules
from schemas.results import Dataset, Evaluation, TrainingResult
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed


@task(task_run_name="compare", **RETRIED)
@timed
def compare(  # noqa: PLR0913, the inputs of a decision
    trained: TrainingResult, evaluation: Evaluation, dataset: Dataset, store: Store, rules: GateRules, force: str | None
) -> Decision:
    """Compare the candidate with the champion on the test rows; the reason says if the champion can't be loaded."""
    from tasks.inference import model, predictor
    from tasks.scoring import gate

    state, images = store.state(), dataset.test
    candidate = gate.Candidate(
        right=evaluation.right,
        calibration_error=evaluation.calibration_error,
        model_mib=trained.network.count_params() * 4 / 2**20,
        latency_ms=model.latency_ms(trained.network, images.read(slice(0, 1))),
    )
    champion = None
    if state.champion is not None:
        try:
            predict = model.load_version(store.verified_dir(state.champion), state.champion)
        except StoreError as error:
            champion = gate.Champion(state.champion, None, str(error))
        else:
            predicted = predictor.predict_in_pieces(predict, images).argmax(axis=1)
            champion = gate.Champion(state.champion, predicted == images.labels)
    decision = gate.decide(candidate, champion, images.labels, rules, refused_before=state.refusals, forced=force)
    get_run_logger().info("%s: %s", "promote" if decision.promoted else "refuse", decision.reason)
    return dataclasses.replace(decision, after_event=state.event)
