"""Trials on a real Ray cluster of this machine: the same as in this process, and a lost worker loses none."""

import os
import sys

import pytest
from samples import accepted

from schemas.compute import Compute
from schemas.errors import TrainingError
from schemas.recipe import Overrides
from tasks.tuning import trial

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def workers(tiny_npz):
    from ray import cloudpickle

    from tasks.orchestration.ray_cluster import cluster
    from tasks.tuning.ray_workers import RayWorkers

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's processes can't import tests
    with cluster(Compute(engine="ray", workers=2)), RayWorkers(accepted(tiny_npz), 2) as workers:
        yield workers


def end_process_once(dataset, marker, start):
    """Run a trial, but end the process the first time."""
    if not marker.exists():
        marker.touch()
        os._exit(1)
    return trial.run(dataset, start, [], 0)


def end_process(_dataset):
    os._exit(1)


def fail(_dataset):
    raise TrainingError("the loss is no longer finite")


def test_trial_on_ray_is_that_of_this_process_although_a_worker_is_lost(workers, tiny_npz, tmp_path):
    start = Overrides(epochs=2, batch_size=64).applied_to("fast")
    expected = trial.run(accepted(tiny_npz), start, [], 0)
    actual = workers.run(end_process_once, tmp_path / "marker", start)
    assert (actual.value, actual.params, actual.state) == (expected.value, expected.params, expected.state)


@pytest.mark.parametrize(("function", "reason"), [(end_process, "its process ended"), (fail, "^the loss is no longer")])
def test_failure_on_ray_is_one_line(workers, function, reason):
    with pytest.raises(TrainingError, match=reason) as raised:
        workers.run(function)
    assert "\n" not in str(raised.value)
