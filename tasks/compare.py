"""Compare: decide by the gate whether the candidate replaces the champion."""

from __future__ import annotations

import dataclasses

from prefect import task
from prefect.logging import get_run_logger

from artifacts.store.store import Store
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
    from tasks.scoring import champions, gate

    state = store.state()
    candidate, champion, best = champions.answer(trained, evaluation, dataset, store, state)
    agreements = dataset.validation.label_agreement
    agreement = agreements.get("test", agreements.get("train"))  # in cross-validation, these are the test rows
    denied = (
        "the champion and the reference contradict most of the test labels; check them"
        if agreement and agreement.is_denied
        else ""
    )
    rows = gate.ComparedRows(dataset.test_digests, evaluation.divisions, denied)
    decision = gate.decide(candidate, champion, rows, rules, best=best, refused_before=state.refusals, forced=force)
    get_run_logger().info("%s: %s", "promote" if decision.promoted else "refuse", decision.reason)
    return dataclasses.replace(decision, after_event=state.event)
