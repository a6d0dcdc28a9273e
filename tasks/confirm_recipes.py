"""Confirm recipes: compare the best recipes of a study with the starting one, on held-out rows and the test part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.logging import get_run_logger

from schemas.results import Dataset
from schemas.tuning import Tuning
from tasks.orchestration.retries import ONCE

if TYPE_CHECKING:
    from tasks.tuning.study import Study
    from tasks.tuning.workers import Workers


@task(task_run_name="confirm recipes", **ONCE)
def confirm_recipes(dataset: Dataset, study: Study, workers: Workers, n_trials: int, output: str) -> Tuning:
    """Return the study's result, with the best recipe if it is better than the starting one."""
    from tasks.tuning import confirmation

    tuning = confirmation.confirm(dataset, study, workers, n_trials, output)
    get_run_logger().info("%s", tuning.summary)
    return tuning
