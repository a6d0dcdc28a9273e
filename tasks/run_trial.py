"""Run trial: train with one recipe of a study and measure it on held-out rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.logging import get_run_logger

from schemas.tuning import Trial
from tasks.orchestration.retries import ONCE

if TYPE_CHECKING:
    from tasks.tuning.study import Study
    from tasks.tuning.workers import Workers


@task(task_run_name="trial {number}", **ONCE)
def run_trial(number: int, study: Study, workers: Workers) -> Trial:
    """Run a trial in an idle worker and add it to the study; a failure is part of the result."""
    finished = study.run(number, workers)
    accuracy = "" if finished.accuracy is None else f", {finished.accuracy:.2%} on held-out rows"
    log = get_run_logger().warning if finished.fault else get_run_logger().info
    log("trial %s: %s%s%s", number, finished.state, accuracy, finished.fault and f": {finished.fault}")
    return finished
