"""Validate: set bad rows aside, hold the whole to the rules, report what was found."""

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
from schemas.errors import InputError
from tasks.cache_shards import cache_shards
from tasks.load import DATA_KEY
from tasks.orchestration import events
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.compute import Compute
    from schemas.profile import Profile
    from schemas.results import Dataset, RawDataset, Validation
    from schemas.rules import Rules


@task(task_run_name="validate {loaded.name}", **RETRIED)
@timed
def validate(loaded: RawDataset, rules: Rules, store: str, compute: Compute) -> Dataset:
    """Give the rows that pass as pixel frames; raise InputError when too many don't, or the whole is wrong.

    Either way the report goes to Prefect, and rows set aside to the store's quarantine.
    """
    from artifacts.reports import plots, quarantine, validation_report
    from tasks.sharding.shard_cache import ShardCache
    from tasks.validation import inspection

    staging = ShardCache(Store(store).shards, partial(cache_shards, compute=compute))
    found, dataset = inspection.inspect(loaded, rules, _reference(Store(store)), staging)
    sheet = plots.data_sheet(found.means, found.reference_means, found.drifts)
    pictures = {validation_report.MEANS: plots.png(sheet)}
    kept_in = None
    if not found.quarantined.empty:
        pictures[validation_report.SHEET] = quarantine.sheet(found)
        kept_in = _keep(Store(store), found, pictures[validation_report.SHEET])
    _report(found, pictures, kept_in)
    events.emit_drift(found.name, found.drifts)
    if dataset is None:
        events.emit_refused_data(found.name, found.refusal)
        place = f"; the rows set aside{found.cut} are in {kept_in}" if kept_in else ""
        raise InputError(f"{found.refusal}{place}")
    return dataclasses.replace(dataset, pictures=pictures)


def _reference(store: Store) -> Profile:
    """Give the champion's profile, that of the embedded MNIST where there is none or it was touched."""
    from artifacts.store import reference_profile
    from tasks.validation import profiles

    champion = store.champion()
    if champion is None:
        return profiles.embedded()
    if faults := store.faults(champion):
        get_run_logger().warning("the reference is the embedded MNIST's: %s", "; ".join(faults))
        return profiles.embedded()
    profile = reference_profile.read(store.local_dir(champion) / reference_profile.NAME)
    return dataclasses.replace(profile, name=f"{profile.name} of version {champion}")


def _keep(store: Store, found: Validation, sheet: bytes) -> str:
    """Keep the rows set aside in a folder named by time and flow run."""
    from artifacts.reports import quarantine

    run = f"{datetime.now(tz=UTC):%Y-%m-%dT%H-%M-%S}-{(flow_run.get_id() or 'none')[:8]}"
    with store.quarantine(run) as folder:
        quarantine.write(folder, found.quarantined, sheet)
    return store.quarantined(run)


def _report(found: Validation, pictures: Mapping[str, bytes], kept_in: str | None) -> None:
    """Tell what was found, in the log and in Prefect."""
    from artifacts.reports import markdown, validation_report

    logger = get_run_logger()
    logger.info(
        "%s rows kept, %s set aside%s; %s",
        f"{sum(found.n_valid.values()):,}",
        f"{sum(found.n_quarantined.values()):,}",
        f"{found.cut} in {kept_in}" if kept_in else "",
        ", ".join(f"{d.part} {d.name} {d.value:.3f}" for d in found.drifts) or "drift not measured",
    )
    for finding in found.findings:
        if finding.severity == "warning":
            logger.warning("%s: %s", finding.check, finding.message)
    text = validation_report.validation_report(found, markdown.embedded(pictures), kept_in)
    create_markdown_artifact(text, key=DATA_KEY, description=text.splitlines()[0].removeprefix("# "))
