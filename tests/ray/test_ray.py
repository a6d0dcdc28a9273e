"""Training and tuning on a real Ray cluster: the same weights as one process, and a lost worker costs nothing."""

import contextlib
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
from samples import accepted, on_disk

from artifacts.store.storage import storage_at
from schemas.compute import Compute
from schemas.errors import TrainingError
from schemas.recipe import Overrides
from tasks.tuning import trial

pytestmark = pytest.mark.ray
LOST = "a worker was lost ("
RECIPE = Overrides(optimizer="sgd", learning_rate=0.01, epochs=4, batch_size=80, validation_fraction=0.1)
TWO_WORKERS = Compute(engine="ray", workers=2)


def end(*_):
    """Handle SIGTERM."""


@pytest.fixture(scope="module")
def cluster():
    """Join a Ray cluster of this machine alone, as a flow does; yield the process's handler of SIGTERM by then.

    Ray's own handler would end a flow without its message.
    """
    from tasks.orchestration.ray_cluster import cluster as ray_cluster

    before = signal.signal(signal.SIGTERM, end)
    with ray_cluster(TWO_WORKERS):
        yield signal.getsignal(signal.SIGTERM)
    assert signal.signal(signal.SIGTERM, before) is end


@pytest.fixture(scope="module")
def tiny(tiny_npz):
    return accepted(tiny_npz)


def ignore(_):
    """Do nothing with an epoch, a block or a message."""


def train_with_ray(dataset, work, on_block=ignore, recipe=RECIPE.applied_to("fast"), log=ignore):  # noqa: B008, frozen
    from tasks.training import ray_engine

    return ray_engine.train(dataset, recipe, storage_at(work), ignore, log, on_block, workers=2)


def kill_a_worker():
    """Kill one of the workers that this process' cluster runs; return whether there was one."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if "RayTrainWorker" in " ".join(child.cmdline()):
                child.kill()
                return True
    return False


def test_two_workers_learn_the_weights_of_one_process(tiny, cluster, tmp_path, monkeypatch):
    """Train a teacher and its student in blocks from disk, two per epoch, the second one smaller."""
    from tasks.training import local_engine
    from tasks.training.sampling import block_sampler

    monkeypatch.setattr("tasks.training.job.training_precision", lambda _: "float32")
    changes = {"optimizer": "muon", "rotation": 10, "elastic": 1, "teacher_epochs": 1}
    recipe = RECIPE.model_copy(update=changes).applied_to("fast")
    sharded = on_disk(tiny, tmp_path, 3, memory=1025)
    assert block_sampler(sharded, 540, recipe).n_blocks == 2
    local = local_engine.train(sharded, recipe, storage_at(tmp_path / "local"), ignore, ignore)
    distributed = train_with_ray(sharded, tmp_path / "ray", recipe=recipe)
    for expected, weight in zip(local.network.get_weights(), distributed.network.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-5)
    assert [record.epoch for record in distributed.history] == [1, 2, 3, 4]
    assert distributed.workers == 2
    assert distributed.fingerprint != local.fingerprint


def test_a_killed_worker_costs_neither_the_run_nor_saved_blocks(tiny, cluster, tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 80}).applied_to("fast")
    killed, messages = [], []

    def kill_once(fraction):
        if not killed and fraction < 1:
            killed.append(kill_a_worker())

    disturbed = train_with_ray(tiny, tmp_path / "disturbed", kill_once, recipe, messages.append)
    assert killed == [True]
    assert messages
    assert all(message.startswith(LOST) for message in messages), messages
    assert all("worker process has died" in m or "lost connection" in m for m in messages), messages
    assert "resuming after epoch" in workers_output()
    assert disturbed.digest == train_with_ray(tiny, tmp_path / "undisturbed", recipe=recipe).digest


def workers_output():
    """Return all that the cluster's workers have printed."""
    import ray

    logs = Path(tempfile.gettempdir()) / "ray" / ray.get_runtime_context().get_session_name() / "logs"
    return "".join(path.read_text() for path in logs.rglob("*worker*") if path.is_file())


def test_joining_a_cluster_keeps_the_flows_sigterm_handler(cluster):
    assert cluster is end


def test_a_running_cluster_passes_the_health_check(cluster):
    import ray

    from tasks.orchestration import ray_cluster

    ray_cluster._check_answers(ray.get_runtime_context().gcs_address)


def test_workers_wait_for_free_processors(cluster, monkeypatch):
    import ray
    from ray.util import placement_group, remove_placement_group

    from tasks.training import ray_engine

    total = ray.cluster_resources()["CPU"]
    busy, messages = placement_group([{"CPU": total}]), []
    assert busy.wait(30)

    def free_processors(message):
        messages.append(message)
        remove_placement_group(busy)

    monkeypatch.setattr(ray_engine, "PLACEMENT_SECONDS", 2.0)
    assert ray_engine._wait_for_cpus(2, free_processors, threading.Event()) == total // 2
    assert messages == ["waiting for free CPUs"]


def test_a_training_error_of_the_workers_ends_the_run_at_once(tiny, cluster, tmp_path):
    recipe = RECIPE.model_copy(update={"learning_rate": 10.0, "epochs": 3}).applied_to("fast")
    messages = []
    with pytest.raises(TrainingError, match=r"no longer finite|no better than guessing"):
        train_with_ray(tiny, tmp_path, recipe=recipe, log=messages.append)
    assert messages == []


@pytest.fixture(scope="module")
def workers(cluster, tiny):
    from ray import cloudpickle

    from tasks.tuning.ray_workers import RayWorkers

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's processes can't import tests
    with RayWorkers(tiny, 2) as workers:
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


def test_trial_on_ray_is_that_of_this_process_although_a_worker_is_lost(workers, tiny, tmp_path):
    start = Overrides(epochs=2, batch_size=64).applied_to("fast")
    expected = trial.run(tiny, start, [], 0)
    actual = workers.run(end_process_once, tmp_path / "marker", start)
    assert (actual.value, actual.params, actual.state) == (expected.value, expected.params, expected.state)


@pytest.mark.parametrize(("function", "reason"), [(end_process, "its process ended"), (fail, "^the loss is no longer")])
def test_failure_on_ray_is_one_line(workers, function, reason):
    with pytest.raises(TrainingError, match=reason) as raised:
        workers.run(function)
    assert "\n" not in str(raised.value)
