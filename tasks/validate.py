"""Validate: check each row and the data as a whole, quarantine invalid rows, report the results."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from artifacts.store.store import Store
from schemas.compute import Compute
from schemas.errors import InputError, StoreError, join_messages
from schemas.profile import Profile
from schemas.results import Dataset, Plots, RawDataset
from schemas.review import count_outcomes
from schemas.rules import Rules
from schemas.validation import Validation
from tasks.cache_shards import cache_shards
from tasks.load import DATA_KEY
from tasks.orchestration import events
from tasks.orchestration.process_inbox import accept_or_reject_files
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from tasks.inbox.merger import InboxMerger
    from tasks.validation.labels import PredictDigits


@task(task_run_name="validate {raw.name}", **RETRIED)
@timed
def validate(raw: RawDataset, rules: Rules, store: Store, compute: Compute) -> tuple[Dataset, Plots]:
    """Return the valid rows and the plots of the data report; raise InputError if the data is rejected.

    In both cases the report is published in Prefect, invalid rows are written to the store's quarantine, and waiting
    files of the inbox are moved to done/ or rejected/.
    """
    from artifacts.reports import markdown, plots, validation_report
    from artifacts.store import audits
    from tasks.sharding.shard_cache import ShardCache
    from tasks.validation import inspection

    cache = ShardCache(store.shards, partial(cache_shards, compute=compute))
    reference, champion = _reference(store)
    validation, dataset = inspection.inspect(raw, rules, reference, cache, partial(_process_inbox, raw), champion)
    pictures = plots.draw(validation_report.SECTIONS, validation)
    quarantine_uri = None if validation.quarantined.empty else _quarantine(store, validation, pictures)
    _log(validation, raw, quarantine_uri)
    report = validation_report.validation_report(validation, markdown.as_data_uris(pictures), quarantine_uri)
    create_markdown_artifact(report, key=DATA_KEY, description=report.splitlines()[0].removeprefix("# "))
    events.emit_drift(validation.name, validation.drifts)
    if dataset is None:
        events.emit(events.DATA_REFUSED, "data", validation.name, validation.refusal)
        note = f"; quarantined rows{validation.truncation_note} are in {quarantine_uri}" if quarantine_uri else ""
        raise InputError(f"{validation.refusal}{note}")
    return dataclasses.replace(dataset, suspects=audits.suspect_test_rows(store, dataset.fingerprint)), pictures


def _process_inbox(raw: RawDataset, merger: InboxMerger) -> None:
    if raw.inbox is not None:
        accept_or_reject_files(merger, raw.inbox)


def _reference(store: Store) -> tuple[Profile, PredictDigits | None]:
    """Return the champion's profile and its predictions.

    If there is no champion, or its files have changed, return the embedded MNIST's profile and None.
    """
    from artifacts.store import version_files
    from tasks.inference import loader
    from tasks.validation import profiles

    champion = store.champion()
    if champion is None:
        return profiles.load_embedded(), None
    try:
        folder = store.verified_dir(champion)
        profile = version_files.read_profile(folder / version_files.PROFILE)
        predict = loader.load_version(folder, champion)
    except StoreError as error:
        get_run_logger().warning("the reference profile is that of the embedded MNIST: %s", error)
        return profiles.load_embedded(), None
    profile = dataclasses.replace(profile, name=f"{profile.name} of version {champion}")
    return profile, lambda pixels: predict(pixels).argmax(axis=1)


def _quarantine(store: Store, validation: Validation, pictures: Plots) -> str:
    """Write the quarantined rows, which can be corrected and used as a source, and their picture; return the URI."""
    run = f"{datetime.now(tz=UTC):%Y-%m-%dT%H-%M-%S}-{(flow_run.get_id() or 'none')[:8]}"
    with store.quarantine.new_folder(run) as folder:
        validation.quarantined.to_parquet(folder / "rows.parquet", index=False)
        (folder / "sheet.png").write_bytes(pictures["quarantine"])
    return str(store.quarantine.child(run))


def _log(validation: Validation, raw: RawDataset, quarantine_uri: str | None) -> None:
    logger = get_run_logger()
    if notes := validation.notes[len(raw.notes) :]:  # `load` has logged the others
        logger.info("shards: %s", join_messages(notes))
    logger.info(
        "%s rows valid, %s quarantined%s; %s",
        f"{sum(validation.n_valid.values()):,}",
        f"{sum(validation.n_quarantined.values()):,}",
        f"{validation.truncation_note} in {quarantine_uri}" if quarantine_uri else "",
        ", ".join(f"{d.part} {d.name} {d.value:.3f}" for d in validation.drifts) or "drift not measured",
    )
    if validation.corrections:
        counts = count_outcomes(validation.corrections)
        logger.info("corrections: %s", ", ".join(f"{number:,} {outcome}" for outcome, number in counts.items()))
    for finding in validation.findings:
        if finding.severity == "warning":
            logger.warning("%s: %s", finding.check, finding.message)
