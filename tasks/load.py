"""Load: read a source into a dataset of pixel frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.logging import get_run_logger

from tasks.stage import stage

if TYPE_CHECKING:
    from schemas.results import Dataset


@stage
def load(source: str) -> Dataset:
    """Read a source; raise InputError, naming the fault, when it can't be read."""
    from tasks.sources import catalogue

    dataset = catalogue.read(source)
    get_run_logger().info(
        "%s: %s training and %s test rows, fingerprint %s",
        dataset.name,
        f"{len(dataset.train):,}",
        f"{len(dataset.test):,}",
        dataset.fingerprint[:12],
    )
    return dataset
