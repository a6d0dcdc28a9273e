"""Training and caching shards on real Ray clusters: same weights as one process, whatever is killed."""

import contextlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from samples import ROOT, accepted, clean_environment, on_disk, write_shards
from serving import descendants, free_port, kill

from artifacts.store.storage import storage_at
from artifacts.store.store import Store
from schemas.compute import Compute
from schemas.errors import TrainingError
from schemas.recipe import Overrides

pytestmark = pytest.mark.ray
TIMEOUT_SECONDS = 240
LOST = "a worker was lost ("
RECIPE = Overrides(optimizer="sgd", learning_rate=0.01, epochs=4, batch_size=80, validation_fraction=0.1)
TWO_WORKERS = Compute(engine="ray", workers=2)


@pytest.fixture(scope="module")
def cluster():
    """Join a Ray cluster of this machine alone, as a flow does."""
    from tasks.orchestration.ray_cluster import cluster as ray_cluster

    with ray_cluster(TWO_WORKERS):
        yield


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
    recipe = RECIPE.model_copy(update={"epochs": 150}).applied_to("fast")
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


def test_a_running_cluster_passes_the_health_check(cluster):
    import ray

    from tasks.orchestration import ray_cluster

    ray_cluster._check_answers(ray.get_runtime_context().gcs_address)


def test_training_is_given_up_after_too_many_lost_workers(tiny, cluster, tmp_path, monkeypatch):
    from tasks.training import ray_engine

    recipe = RECIPE.model_copy(update={"epochs": 400}).applied_to("fast")
    monkeypatch.setattr(ray_engine, "MAX_FAILURES", 0)
    with pytest.raises(TrainingError, match=r"^training failed after 1 attempts; last error: a worker was lost \("):
        train_with_ray(tiny, tmp_path, lambda _: kill_a_worker(), recipe)


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
    with job.loader() as loader:
        follower = ray_engine._Follower(job.start_or_resume(loader, ignore), job.checkpoints, ignore, ignore)
        with pytest.raises(TrainingError, match=rf"isn't in {tmp_path}/.*all machines have to share"):
            ray_engine._train_on_cluster(job, follower, ignore)


def test_workers_with_different_weights_raise_an_error(tiny, tmp_path, monkeypatch):
    from tasks.training import ray_engine
    from tasks.training.job import plan_job, weights_digest

    job = plan_job(tiny, RECIPE.applied_to("fast"), storage_at(tmp_path), n_workers=2)
    with job.loader() as loader:
        trainer = job.start_or_resume(loader, ignore)
        monkeypatch.setattr(ray_engine, "broadcast_from_rank_zero", lambda mine: mine)
        ray_engine._check_agreement(trainer)
        first = f"{trainer.summary}: {weights_digest(trainer.network)}"
        trainer.run_block()
        monkeypatch.setattr(ray_engine, "broadcast_from_rank_zero", lambda _: first)
        with pytest.raises(RuntimeError, match="another worker isn't at after epoch 1 of 4: "):
            ray_engine._check_agreement(trainer)


def test_a_training_error_of_the_workers_ends_the_run_at_once(tiny, cluster, tmp_path):
    recipe = RECIPE.model_copy(update={"learning_rate": 10.0, "epochs": 3}).applied_to("fast")
    messages = []
    with pytest.raises(TrainingError, match=r"no longer finite|no better than guessing"):
        train_with_ray(tiny, tmp_path, recipe=recipe, log=messages.append)
    assert messages == []


@pytest.mark.parametrize(
    ("nodes", "n_workers", "processors"),
    [([2], 2, 1), ([8, 8], 2, 8), ([8, 8], 3, 4), ([16, 4], 4, 4), ([1], 4, 1), ([], 2, 1)],
)
def test_workers_get_as_many_processors_as_all_of_them_can(nodes, n_workers, processors):
    from tasks.training.ray_engine import cpus_per_worker

    assert cpus_per_worker(nodes, n_workers) == processors


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Run a Prefect server; yield the environment that leads to it."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    environment = clean_environment(home)
    command = [Path(sys.executable).with_name("prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (
        (home / "server.log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        import httpx

        api = f"http://127.0.0.1:{port}/api"
        for _ in range(TIMEOUT_SECONDS):
            try:
                httpx.get(f"{api}/health", timeout=5).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.5)
        else:
            raise AssertionError((home / "server.log").read_text())
        yield environment | {"PREFECT_API_URL": api}
        process.send_signal(signal.SIGINT)


@pytest.fixture
def shards(tmp_path):
    return write_shards(tmp_path / "shards", rows=2400, count=12)


def start_flow(environment, folder, *flags):
    return subprocess.Popen(
        [sys.executable, ROOT / "flows" / "train_flow.py", "--engine", "ray", *map(str, flags)],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def ray_cluster(environment, folder):
    """Start a Ray cluster with nodes on loopback; yield its address and a function that adds a node."""
    ray, address = Path(sys.executable).with_name("ray"), f"127.0.0.1:{free_port()}"
    started = []

    def add(*flags):
        log = folder / f"node{len(started)}.log"
        with log.open("wb") as output:
            command = [ray, "start", "--node-ip-address", "127.0.0.1", "--num-cpus", "2", "--block", *flags]
            started.append(subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT))
        _wait(lambda: "Ray runtime started" in log.read_text())
        return started[-1]

    # A short path: Ray puts sockets there, whose paths may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as temporary:
        try:
            add("--head", "--port", address.split(":")[1], "--include-dashboard=false", "--temp-dir", temporary)
            yield address, lambda: add("--address", address)
        finally:
            for node in reversed(started):
                _end(node)


def test_runs_survive_the_loss_of_a_node_and_of_the_flow(server, shards, tmp_path):
    """Kill a node while shards are cached, then the flow while it trains, then a node while the next flow trains."""
    environment = server | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    with ray_cluster(environment, tmp_path) as (address, add_node):
        store = tmp_path / "store"
        flags = ("--source", shards, "--store", store, "--ray-address", address, "--epochs", 120, "--batch-size", 64)
        cached, n_cached = store / "work" / "shards", []

        def kill_while_caching(node):
            _wait(lambda: any(cached.glob("[!.]*")))
            n_cached.append(len(list(cached.glob("[!.]*"))))
            _end(node)

        killing = threading.Thread(target=kill_while_caching, args=(add_node(),))
        killing.start()
        driver = start_flow(environment, tmp_path, *flags, "--workers", 2)
        _until("epoch  20/120", driver, driver.kill)
        killing.join()
        assert 0 < n_cached[0] < 12, "some were cached, others not yet"
        second = add_node()
        process = start_flow(environment, tmp_path, *flags, "--workers", 2)
        output = _until("epoch  40/120", process, lambda: _end(second))
        assert process.returncode == 0, output[-3000:]
        assert "resuming after epoch" in output
        assert output.count(LOST) == 1
        assert "waiting for free CPUs" not in output, "for CPUs that are gone"
        assert "version 1" in output


def test_workers_share_shards_and_checkpoints_in_an_object_store(server, shards, tmp_path, bucket, object_store):
    """End a run by SIGTERM; the next one resumes without any local copy."""
    store = f"{bucket}/models"
    flags = ("--source", shards, "--store", store, "--workers", 2, "--epochs", 60, "--batch-size", 64)
    environment = server | object_store
    first = start_flow(environment | {"XDG_CACHE_HOME": str(tmp_path / "first")}, tmp_path, *flags)
    output = _until("epoch  4/60", first, first.terminate)
    assert first.returncode == 143, f"Ray's own SIGTERM handler would end it without a message: {output[-3000:]}"
    assert output.splitlines()[-1].startswith("error: interrupted; the same command ")
    assert len(Store(store).shards.names()) == 12
    with start_flow(environment | {"XDG_CACHE_HOME": str(tmp_path / "second")}, tmp_path, *flags) as process:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, output[-3000:]
    assert f"from the checkpoint in {Store(store).work}" in output
    card = Store(store).card(1)
    assert card["environment"]["workers"] == 2
    assert Store(store).work.names() == ["shards"]
    assert len(list((tmp_path / "second").rglob("pixels.npy"))) == 12, "each shard was fetched, none cached again"


def _until(line_with, process, end):
    """Call `end` once a flow prints a text, which it has to within the timeout; return its whole output."""
    output, timeout = "", threading.Timer(TIMEOUT_SECONDS, process.kill)
    timeout.start()
    with process:
        for line in process.stdout:
            output += line
            if line_with in line:
                end()
    timeout.cancel()
    assert line_with in output, output[-3000:]
    return output


def _wait(condition):
    for _ in range(20 * TIMEOUT_SECONDS):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("timed out")


def _end(node):
    """Kill a node and all processes that it has started."""
    kill(descendants(node))
    node.kill()
    node.wait(30)
