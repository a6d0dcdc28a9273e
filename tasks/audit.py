"""Audit: find rows whose labels networks trained on other rows contradict, near-duplicates and outliers."""

from __future__ import annotations

import dataclasses
from typing import cast
from uuid import UUID

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from schemas.audit import Audit
from schemas.errors import StoreError
from schemas.results import Dataset, TrainingResult
from tasks.inference import start_up
from tasks.orchestration.progress import Progress
from tasks.orchestration.retries import RETRIED


@task(task_run_name="audit {dataset.name}, {n_folds} folds", **RETRIED)
def audit(dataset: Dataset, network: str, n_folds: int, store: Store) -> Audit:
    """Write the suspects of a dataset to the store and publish the report in Prefect; nothing else is changed.

    A run that was killed resumes at its last checkpoint.
    """
    start_up.import_tensorflow()
    from tasks.auditing import out_of_fold, suspects
    from tasks.training.local_engine import train

    recipe = out_of_fold.audit_recipe(network, len(dataset.train))
    log, work = get_run_logger().info, f"audit-{dataset.fingerprint}"

    with Progress(recipe, n_folds) as progress, start_up.memory_errors():

        def fit(part: Dataset) -> TrainingResult:
            trained = train(part, recipe, store.work.child(work), lambda _: None, log, progress.block_done)
            progress.training_done()
            log("%s: trained", part.name)
            return trained

        predicted = out_of_fold.predict(dataset, n_folds, recipe.seed, fit)
    result = Audit(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        n_rows={part: len(images) for part, images in suspects.audited_parts(dataset).items()},
        network=network,
        n_folds=n_folds,
        suspects=suspects.find_suspects(dataset, predicted),
        folder=str(store.audits.child(dataset.fingerprint)),
    )
    _queue(result, dataset, store)
    result = _publish(result, dataset, store)
    store.work.remove_folder(work)
    return result


def _queue(audit: Audit, dataset: Dataset, store: Store) -> None:
    """Add the suspects to the review queue, and the labels that the champion contradicts."""
    from artifacts.store import review
    from tasks.auditing.suspects import audited_parts
    from tasks.prediction import stream
    from tasks.reviewing import entries

    parts = audited_parts(dataset)
    review.add(store, entries.of_audit(audit.suspects, dataset, parts))
    if champion := store.champion():
        try:
            review.add(store, entries.of_version(dataset, parts, stream.predictor(store, champion)))
        except StoreError as error:
            get_run_logger().warning("the review queue is without the champion's disagreements: %s", error)


def _publish(audit: Audit, dataset: Dataset, store: Store) -> Audit:
    from artifacts.reports import audit_report, markdown, plots
    from artifacts.store import audits
    from tasks.auditing.suspects import audited_parts

    pictures = plots.draw(audit_report.SECTIONS, audit, audited_parts(dataset))
    audits.write(store, audit, pictures)
    text = audit_report.audit_report(audit, markdown.as_data_uris(pictures))
    artifact = create_markdown_artifact(text, key="label-audit", description=markdown.inert(audit.summary))
    get_run_logger().info("%s, in %s", audit.summary, audit.folder)
    return dataclasses.replace(audit, artifact=cast("UUID", artifact))


def preload() -> None:
    """Import the slow libraries that an audit needs, while a Prefect server starts."""
    start_up.preload(
        "artifacts.reports.plots",
        "tasks.auditing.suspects",
        "tasks.training.local_engine",
        "tasks.validation.inspection",
    )
