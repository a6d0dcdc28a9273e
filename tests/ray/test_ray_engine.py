"""How the Ray engine waits, retries and gives up; what a cluster would do is given."""

import contextlib
import threading
from types import SimpleNamespace

import pytest
from samples import accepted

from artifacts.store.storage import storage_at
from schemas.errors import TrainingError
from schemas.recipe import Overrides

pytestmark = pytest.mark.ray
RECIPE = Overrides(optimizer="sgd", learning_rate=0.01, epochs=4, batch_size=80, validation_fraction=0.1)


@pytest.fixture(scope="module")
def tiny(tiny_npz):
    return accepted(tiny_npz)


def ignore(_):
    """Do nothing with an epoch, a block or a message."""


def test_waiting_for_processors_is_logged_until_there_is_room(monkeypatch):
    from tasks.training import ray_engine

    room, messages = iter([False, False, True]), []
    monkeypatch.setattr(ray_engine, "_cpus_by_node", lambda: [1.0])
    monkeypatch.setattr(ray_engine, "_can_place_workers", lambda *_: next(room))
    assert ray_engine._wait_for_cpus(2, messages.append, threading.Event()) == 1
    assert messages == ["2 workers need one CPU each, the cluster has 1; waiting"] * 2


def failures_of_workers():
    import ray
    import tensorflow as tf

    class HealthCheckError(Exception):  # as Ray has it, in a module of its own
        def __init__(self, cause):
            super().__init__(f"A worker health check failed.\n{cause}")
            self.health_check_failure = cause

    disconnected = tf.errors.UnavailableError(None, None, "Graph execution error:\n[[{{node Reduce}}]]")
    died = ray.exceptions.RayActorError("a", "The actor died.\n\tpid: 1\nWorker exit detail: End of file.")
    return {
        "a lost process": ([disconnected, HealthCheckError(died)], "Worker exit detail: End of file."),
        "no memory": (
            [disconnected, HealthCheckError(ray.exceptions.OutOfMemoryError("Task was killed\nRefer to"))],
            "its machine ran out of memory",
        ),
        "a lost connection": ([disconnected], "TensorFlow's UnavailableError, often a lost connection"),
        "an error of our own": ([RuntimeError("another worker isn't at")], "another worker isn't at"),
        "no message": ([ValueError()], "ValueError"),
    }


@pytest.mark.parametrize(
    "failure", ["a lost process", "no memory", "a lost connection", "an error of our own", "no message"]
)
def test_the_reason_of_a_failed_attempt_is_one_line(failure):
    import ray.train

    from tasks.training.ray_engine import failure_reason

    errors, reason = failures_of_workers()[failure]
    assert failure_reason(ray.train.WorkerGroupError("", dict(enumerate(errors)))).startswith(reason)


@pytest.mark.parametrize(
    ("n_failures", "outcome"),
    [(8, contextlib.nullcontext()), (9, pytest.raises(TrainingError, match="training failed after 9 attempts"))],
)
def test_up_to_eight_attempts_may_fail(tmp_path, monkeypatch, n_failures, outcome):
    import ray.train

    from tasks.training import ray_engine

    messages, attempts = [], iter(range(n_failures))

    def attempt(*_):
        if next(attempts, None) is not None:
            raise ray.train.ControllerError(RuntimeError("the reason"))

    fake_cluster(monkeypatch, ray_engine, attempt)
    job = SimpleNamespace(checkpoints=storage_at(tmp_path), n_workers=2)
    with outcome:
        ray_engine._attempt_until_done(job, messages.append, threading.Event())
    assert next(attempts, None) is None
    assert len(messages) == 8
    assert set(messages) == {"the workers did not start (the reason); all workers restart from the newest checkpoint"}


def test_a_permanent_error_of_ray_ends_the_run_at_once(tmp_path, monkeypatch):
    import ray.train

    from tasks.training import ray_engine

    def attempt(*_):
        raise ray.train.ControllerError(PermissionError("the reason"))

    fake_cluster(monkeypatch, ray_engine, attempt)
    job, messages = SimpleNamespace(checkpoints=storage_at(tmp_path), n_workers=2), []
    with pytest.raises(TrainingError, match=r"^training failed: the workers did not start \(the reason\)$"):
        ray_engine._attempt_until_done(job, messages.append, threading.Event())
    assert messages == []


def test_a_cancelled_training_is_not_attempted_again(tmp_path, monkeypatch):
    import ray.train

    from tasks.training import ray_engine

    messages, cancelled = [], threading.Event()

    def attempt(*_):
        assert not cancelled.is_set()
        cancelled.set()
        raise ray.train.ControllerError(RuntimeError("the reason"))

    fake_cluster(monkeypatch, ray_engine, attempt)
    ray_engine._attempt_until_done(
        SimpleNamespace(checkpoints=storage_at(tmp_path), n_workers=2), messages.append, cancelled
    )
    assert messages == []


def fake_cluster(monkeypatch, ray_engine, attempt):
    monkeypatch.setattr(ray_engine, "_attempt", attempt)
    monkeypatch.setattr(ray_engine, "_wait_for_cpus", lambda *_: 1)
    monkeypatch.setattr(ray_engine.ray, "put", lambda job: job)


def test_checkpoints_on_another_disk_are_an_error(tiny, tmp_path, monkeypatch):
    from tasks.training import ray_engine
    from tasks.training.job import plan_job

    job = plan_job(tiny, RECIPE.applied_to("fast"), storage_at(tmp_path), n_workers=2)
    monkeypatch.setattr(ray_engine, "LAST_CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(ray_engine, "_attempt_until_done", lambda *_: None)
    with job.start_or_resume(ignore) as trainer:
        follower = ray_engine._Follower(trainer, job.checkpoints, ignore, ignore)
        with pytest.raises(TrainingError, match=rf"isn't in {tmp_path}/.*all machines have to share"):
            ray_engine._train_on_cluster(job, follower, ignore)


def test_workers_with_different_weights_raise_an_error(tiny, tmp_path, monkeypatch):
    from tasks.training import ray_engine
    from tasks.training.job import plan_job, weights_digest

    job = plan_job(tiny, RECIPE.applied_to("fast"), storage_at(tmp_path), n_workers=2)
    with job.start_or_resume(ignore) as trainer:
        monkeypatch.setattr(ray_engine, "broadcast_from_rank_zero", lambda mine: mine)
        ray_engine._check_agreement(trainer)
        first = f"{trainer.summary}: {weights_digest(trainer.network)}"
        trainer.run_block()
        monkeypatch.setattr(ray_engine, "broadcast_from_rank_zero", lambda _: first)
        with pytest.raises(RuntimeError, match="another worker isn't at after epoch 1 of 4: "):
            ray_engine._check_agreement(trainer)


@pytest.mark.parametrize(
    ("nodes", "n_workers", "processors"),
    [([2], 2, 1), ([8, 8], 2, 8), ([8, 8], 3, 4), ([16, 4], 4, 4), ([1], 4, 1), ([], 2, 1)],
)
def test_workers_get_as_many_processors_as_all_of_them_can(nodes, n_workers, processors):
    from tasks.training.ray_engine import cpus_per_worker

    assert cpus_per_worker(nodes, n_workers) == processors
