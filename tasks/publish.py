"""Publish: put the model and everything about it into the store, and make it the champion if it may be."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from prefect import task
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from artifacts.store.store import MODEL, Store
from schemas.results import PublishedVersion
from tasks.orchestration.retries import ONCE
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.gate import Decision
    from schemas.results import Dataset, Evaluation, TrainingResult


@task(task_run_name="publish", **ONCE)
@timed
def publish(  # noqa: PLR0913, what a report tells of
    store: str,
    dataset: Dataset,
    trained: TrainingResult,
    evaluation: Evaluation,
    decision: Decision,
    pictures: Mapping[str, bytes],
    seconds: Mapping[str, float],
    keep: int,
) -> PublishedVersion:
    """Make a version of the run, the champion if so decided; old versions go. Prefect hears of it afterwards.

    Not tried again when it fails: that would make a second version. The checkpoints stay, and the next run goes on.
    """
    from artifacts import version

    versions, name = Store(store), run_name()
    with versions.new_version() as (number, folder):
        decision = _in_force(decision, versions)
        run = version.describe(dataset, trained, evaluation, decision, seconds)
        trained.network.save(folder / MODEL)
        version.write(folder, number, name, run, dataset.profile, pictures)
    versions.prune(keep)
    return PublishedVersion(
        version=number,
        folder=versions.place(number),
        promoted=decision.promoted,
        reason=decision.reason,
        accuracy=evaluation.accuracy,
        interval=evaluation.interval,
        errors=evaluation.errors,
        n_rows=evaluation.n_rows,
    )


def run_name() -> str:
    """Give the flow run's name and id, as the history and the card have it."""
    return f"{flow_run.get_name() or 'by hand'} {(flow_run.get_id() or '')[:8]}".strip()


def _in_force(decision: Decision, store: Store) -> Decision:
    """Give the decision; it doesn't stand when another run has changed the champion that it was about."""
    champion = store.champion()
    if not decision.promoted or champion == decision.champion:
        return decision
    changed = f"version {champion} has become the champion meanwhile, in place of {decision.champion}"
    get_run_logger().warning("not promoted: %s", changed)
    return dataclasses.replace(decision, promoted=False, reason=changed)
