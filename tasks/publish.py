"""Publish: write the candidate to the store as a version, and promote it if the gate has decided so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prefect import task
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from artifacts.store.store import MODEL, Store
from schemas.gate import Decision
from schemas.results import Dataset, Evaluation, Plots, PublishedVersion, TrainingResult
from schemas.run import Run
from schemas.text import printable
from tasks.orchestration import resources
from tasks.orchestration.retries import ONCE
from tasks.orchestration.stopwatch import timed


@task(task_run_name="publish", **ONCE)
@timed
def publish(  # noqa: PLR0913, the inputs of a report
    store: Store,
    recipe: str,
    dataset: Dataset,
    trained: TrainingResult,
    evaluation: Evaluation,
    decision: Decision,
    plots: Plots,
    seconds: Mapping[str, float],
    keep: int,
) -> PublishedVersion | None:
    """Publish the run as a version, which becomes the champion if so decided, and remove old versions.

    Returns None, and publishes nothing, if another decision was recorded since this one; the caller then compares
    again. A failure isn't retried, as that might publish twice; the next run resumes from the checkpoints.
    """
    from artifacts import version
    from artifacts.reports.card import environment
    from tasks.inference import model

    with store.new_version() as (number, folder):
        run = Run(
            dataset=dataset,
            training_result=trained,
            evaluation=evaluation,
            decision=decision,
            recipe_name=Path(recipe).name,
            seconds=dict(seconds),
            resources=resources.measure(),
            environment=environment(trained),
        )
        model.save_network(trained.network, folder / MODEL)
        card = version.write(folder, number, run_name(), run, plots)
        if not store.publish(number, folder, card, keep):
            get_run_logger().warning("another run has recorded a decision: the candidate is compared again")
            return None
    return PublishedVersion.from_card(card, store.version_uri(number))


def run_name() -> str:
    """Return the flow run's name and id, for the history and the card."""
    return printable(f"{flow_run.get_name() or 'by hand'} {(flow_run.get_id() or '')[:8]}".strip())
