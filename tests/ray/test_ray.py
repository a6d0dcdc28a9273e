"""Ray, for real: the weights of one worker, whoever is killed; shards staged on two nodes, one of which leaves."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from samples import ROOT, accepted, clean_environment, on_disk, write_shards
from serving import free_port

from artifacts.store.storage import storage_at
from artifacts.store.store import Store
from schemas.compute import Compute
from schemas.recipe import Overrides

pytestmark = pytest.mark.ray
PATIENCE = 240
LOST = "a worker was lost (Worker unexpectedly exits with a connection error code 2. End of file.); all go on anew"
RECIPE = Overrides(optimizer="sgd", learning_rate=0.01, epochs=4, batch_size=80, validation_fraction=0.1)
BOTH = Compute(engine="ray", workers=2)


@pytest.fixture(scope="module")
def cluster():
    """Join a Ray cluster of this machine alone, as a flow does."""
    from tasks.orchestration.ray_cluster import cluster

    with cluster(BOTH):
        yield


@pytest.fixture(scope="module")
def tiny(tiny_npz):
    return accepted(tiny_npz)


def unheard(_):
    """Take what nobody asks about."""


def by_ray(dataset, work, on_block=unheard, recipe=RECIPE.applied_to("fast"), tell=unheard):  # noqa: B008, frozen
    from tasks.training import ray_engine

    return ray_engine.train(dataset, recipe, storage_at(work), unheard, tell, on_block, workers=2)


def weights(trained):
    return [weight.copy() for weight in trained.network.get_weights()]


def processes(name, below):
    """Find processes that this one, or the one with a number, has started, by what they are called."""
    return [child for child in psutil.Process(below).children(recursive=True) if name in " ".join(child.cmdline())]


@pytest.mark.parametrize("overrides", [{}, {"optimizer": "muon", "rotation": 10, "elastic": 1}])
def test_two_workers_learn_what_one_process_learns(tiny, cluster, tmp_path, overrides):
    """In blocks from disk, two an epoch, the second one smaller."""
    from tasks.training import engine
    from tasks.training.block_sampler import plan

    recipe = RECIPE.model_copy(update=overrides).applied_to("fast")
    staged = on_disk(tiny, tmp_path, 3, memory=1025)
    assert plan(staged, 540, recipe).blocks == 2
    alone = engine.train(staged, recipe, storage_at(tmp_path / "alone"), unheard, unheard)
    together = by_ray(staged, tmp_path / "together", recipe=recipe)
    for one, both in zip(weights(alone), weights(together), strict=True):
        np.testing.assert_allclose(both, one, atol=1e-5)
    assert [record.epoch for record in together.history] == [1, 2, 3, 4]
    assert together.workers == 2
    assert together.fingerprint != alone.fingerprint


def test_a_worker_killed_while_training_costs_no_run(tiny, cluster, tmp_path):
    """It ends with the weights of an undisturbed training; blocks that were saved aren't trained on again."""
    recipe = RECIPE.model_copy(update={"epochs": 150}).applied_to("fast")
    killed, told = [], []

    def kill_one(share):
        if not killed and share < 1:
            victim = processes("RayTrainWorker", os.getpid())[0]
            killed.append(victim.pid)
            victim.kill()

    disturbed = by_ray(tiny, tmp_path / "disturbed", kill_one, recipe, told.append)
    assert killed
    assert told, "nothing was said of it"
    assert all(line.startswith(LOST) for line in told), told
    assert "going on after epoch" in workers_said(), "they didn't begin anew"
    assert disturbed.digest == by_ray(tiny, tmp_path / "undisturbed", recipe=recipe).digest


def workers_said():
    """Give what all workers of the cluster have printed."""
    import ray

    logs = Path(tempfile.gettempdir()) / "ray" / ray.get_runtime_context().get_session_name() / "logs"
    return "".join(path.read_text() for path in logs.rglob("*worker*") if path.is_file())


def test_a_cluster_that_lives_answers(cluster):
    import ray

    from tasks.orchestration import ray_cluster as clusters

    clusters._check_answers(ray.get_runtime_context().gcs_address)


def test_losing_workers_again_and_again_is_given_up(tiny, cluster, tmp_path, monkeypatch):
    """Before, it is told that there are too few processors for all of them."""
    from schemas.errors import TrainingError
    from tasks.training import ray_engine

    recipe, told = RECIPE.model_copy(update={"epochs": 400}).applied_to("fast"), []

    def kill_one(share):
        for victim in processes("RayTrainWorker", os.getpid())[:1]:
            victim.kill()

    monkeypatch.setattr(ray_engine, "MOST_LOSSES", 0)
    monkeypatch.setattr(ray_engine, "_processors", lambda: [1.0])
    with pytest.raises(TrainingError, match=r"^given up after workers were lost 1 times, at last: Worker unexpectedly"):
        by_ray(tiny, tmp_path, kill_one, recipe, told.append)
    assert told == ["2 workers need a processor each, the cluster has 1; they wait"]


ACTOR = """The actor died unexpectedly before finishing this task.
\tclass_name: RayTrainWorker
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: """
ABORTED = """Traceback (most recent call last):
Collective ops is aborted by: recvmsg:Connection reset by peer
Additional GRPC error information from remote target /job:worker/replica:0/task:0:
The error could be from a previous operation. Restart your program to reset.
\t [[{{node CollectiveReduceV2}}]] [Op:__inference_train_block_932]"""


@pytest.mark.parametrize(
    ("of_a_worker", "told"),
    [
        (f"{ACTOR}Worker exits. End of file. Some common causes include: (1) many", "Worker exits. End of file."),
        (
            f"{ACTOR}Task was killed due to the node running low on memory.\nRefer to the documentation",
            "Task was killed due",
        ),
        (ABORTED, "Collective ops is aborted by: recvmsg:Connection reset by peer"),
        ("Traceback (most recent call last):\nRuntimeError: it is\n\t [[{{node Mul}}]]", "RuntimeError: it is"),
        ("", "WorkerGroupError"),
    ],
)
def test_why_a_worker_was_lost_is_one_line(of_a_worker, told):
    """Of several, it is that of one that ended itself, not of one that missed it."""
    import ray.train

    from tasks.training.ray_engine import failure_reason

    class DeadError(Exception):
        health_check_failure = "of Ray"

    assert failure_reason(
        ray.train.WorkerGroupError("", {0: Exception(ABORTED), 1: DeadError(of_a_worker)})
    ).startswith(told)


@pytest.mark.parametrize(
    ("failures", "told", "outcome"),
    [
        (["WorkerGroupStartupTimeoutError"] * 20, ["the workers wait for processors that are free (text)"] * 20, None),
        (["WorkerGroupStartupFailedError"] * 8, ["a worker was lost (text); all go on anew"] * 8, None),
        (
            ["WorkerGroupStartupFailedError"] * 9,
            ["a worker was lost (text); all go on anew"] * 8,
            "given up after workers",
        ),
        (["InsufficientClusterResourcesError"], [], "Ray can't train: text"),
        (["interrupted"], [], None),
    ],
)
def test_what_another_try_may_mend_is_tried_again(tmp_path, monkeypatch, failures, told, outcome):
    """Waiting for processors for ever, losing workers eight times, what the cluster will never have not at all."""
    import ray.train

    from schemas.errors import TrainingError
    from tasks.training import ray_engine

    said, over, left = [], threading.Event(), iter(failures)

    def fit_once(*_):
        if failure := next(left, None):
            if failure == "interrupted":
                over.set()
            raise ray.train.ControllerError(type(failure, (Exception,), {})("text"))

    monkeypatch.setattr(ray_engine, "_fit_once", fit_once)
    monkeypatch.setattr(ray_engine, "_processors", lambda: [2.0])
    monkeypatch.setattr(ray_engine.ray, "put", lambda training: training)
    training = SimpleNamespace(place=storage_at(tmp_path), workers=2)
    with pytest.raises(TrainingError, match=outcome) if outcome else contextlib.nullcontext():
        ray_engine._fit(training, said.append, over)
    assert next(left, None) is None
    assert [line[: len(start)] for line, start in zip(said, told, strict=True)] == told


def test_what_the_workers_saved_elsewhere_is_missed(tiny, tmp_path, monkeypatch):
    from schemas.errors import TrainingError
    from tasks.training import engine, ray_engine

    training = engine.planned(tiny, RECIPE.applied_to("fast"), storage_at(tmp_path), workers=2)
    done = Future()
    done.set_result(None)
    monkeypatch.setattr(ray_engine, "SECONDS_TO_SHOW", 0)
    monkeypatch.setattr(ray_engine, "_fitted", lambda *_: done)
    with (
        training.feed() as feed,
        pytest.raises(TrainingError, match=rf"isn't in {tmp_path}/.*all machines have to share"),
    ):
        ray_engine._follow(training.begun(feed, unheard), training, unheard, unheard, unheard)


def test_workers_that_come_apart_start_anew(tiny, tmp_path, monkeypatch):
    from tasks.training import engine, ray_engine

    training = engine.planned(tiny, RECIPE.applied_to("fast"), storage_at(tmp_path), workers=2)
    with training.feed() as feed:
        session = training.begun(feed, unheard)
        monkeypatch.setattr(ray_engine, "broadcast_from_rank_zero", lambda mine: mine)
        ray_engine._check_agreement(session)
        first = f"{session.summary}: {engine.digest(session.network)}"
        session.run_block()
        monkeypatch.setattr(ray_engine, "broadcast_from_rank_zero", lambda _: first)
        with pytest.raises(RuntimeError, match="another worker isn't at after epoch 1 of 4: "):
            ray_engine._check_agreement(session)


def test_what_the_training_itself_fails_by_is_told_and_not_tried_again(tiny, cluster, tmp_path):
    from schemas.errors import TrainingError

    recipe = RECIPE.model_copy(update={"learning_rate": 10.0, "epochs": 3}).applied_to("fast")
    with pytest.raises(TrainingError, match=r"no longer finite|still guesses"):
        by_ray(tiny, tmp_path / "work", recipe=recipe)


@pytest.mark.parametrize(
    ("nodes", "workers", "each"),
    [([2], 2, 1), ([8, 8], 2, 8), ([8, 8], 3, 4), ([16, 4], 4, 4), ([1], 4, 1), ([], 2, 1)],
)
def test_every_worker_finds_room(nodes, workers, each):
    from tasks.training.ray_engine import processors_each

    assert processors_each(nodes, workers) == each


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Run a Prefect server; give the environment of those who use it."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    environment = clean_environment(home)
    command = [Path(sys.executable).with_name("prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (
        (home / "server.log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        import httpx

        api = f"http://127.0.0.1:{port}/api"
        for _ in range(PATIENCE):
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


def flow(environment, folder, *flags):
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
    """Start a Ray cluster whose nodes are processes on loopback; give its address and what adds a node."""
    ray, address = Path(sys.executable).with_name("ray"), f"127.0.0.1:{free_port()}"
    started = []

    def add(*flags):
        log = folder / f"node{len(started)}.log"
        with log.open("wb") as words:
            command = [ray, "start", "--node-ip-address", "127.0.0.1", "--num-cpus", "2", "--block", *flags]
            started.append(subprocess.Popen(command, env=environment, stdout=words, stderr=subprocess.STDOUT))
        _wait(lambda: "Ray runtime started" in log.read_text())
        return started[-1]

    # Short: Ray has sockets in it, whose names may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as temporary:
        try:
            add("--head", "--port", address.split(":")[1], "--include-dashboard=false", "--temp-dir", temporary)
            yield address, lambda: add("--address", address)
        finally:
            for node in reversed(started):
                _end(node)


def test_no_run_is_lost_with_its_driver_or_a_node(server, shards, tmp_path):
    """A node is killed while shards are staged, then the flow while it trains, then a node while the next one does."""
    environment = server | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    with ray_cluster(environment, tmp_path) as (address, add_node):
        store = tmp_path / "store"
        flags = ("--source", shards, "--store", store, "--ray-address", address, "--epochs", 120, "--batch-size", 64)
        staged, when_it_left = store / "work" / "shards", []

        def leave(node):
            _wait(lambda: any(staged.glob("[!.]*")))
            when_it_left.append(len(list(staged.glob("[!.]*"))))
            _end(node)

        leaving = threading.Thread(target=leave, args=(add_node(),))
        leaving.start()
        driver = flow(environment, tmp_path, *flags, "--workers", 2)
        _until("epoch  20/120", driver, driver.kill)
        leaving.join()
        assert 0 < when_it_left[0] < 12, "some were staged, others not yet"
        second = add_node()
        process = flow(environment, tmp_path, *flags, "--workers", 2)
        told = _until("epoch  40/120", process, lambda: _end(second))
        assert process.returncode == 0, told[-3000:]
        assert "going on after epoch" in told
        assert told.count("a worker was lost (") == 1
        assert "the workers wait" not in told, "for processors that are gone"
        assert "version 1" in told


def test_workers_meet_in_an_object_store(server, shards, tmp_path, bucket, object_store):
    """What they stage, fetch and save lies there; the run that SIGTERM ends goes on from it without any copy."""
    store = f"{bucket}/models"
    flags = ("--source", shards, "--store", store, "--workers", 2, "--epochs", 60, "--batch-size", 64)
    environment = server | object_store
    first = flow(environment | {"XDG_CACHE_HOME": str(tmp_path / "first")}, tmp_path, *flags)
    told = _until("epoch  4/60", first, first.terminate)
    assert first.returncode == 143, f"Ray, which takes SIGTERM over, would end it without its line: {told[-3000:]}"
    assert told.splitlines()[-1].startswith("error: interrupted; the same command goes on")
    assert len(Store(store).shards.names()) == 12
    with flow(environment | {"XDG_CACHE_HOME": str(tmp_path / "second")}, tmp_path, *flags) as process:
        told, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told[-3000:]
    assert f"from the checkpoint in {Store(store).work}" in told
    card = Store(store).card(1)
    assert card["environment"]["workers"] == 2
    assert Store(store).work.names() == ["shards"]
    assert len(list((tmp_path / "second").rglob("pixels.npy"))) == 12, "each shard was fetched, none staged again"


def _until(line_with, started, end):
    """End a flow once it says something, which it has to, and in time; give all that it says."""
    told, patience = "", threading.Timer(PATIENCE, started.kill)
    patience.start()
    with started as process:
        for line in process.stdout:
            told += line
            if line_with in line:
                end()
    patience.cancel()
    assert line_with in told, told[-3000:]
    return told


def _wait(holds):
    """Wait until something holds."""
    for _ in range(20 * PATIENCE):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it didn't come to that")


def _end(node):
    """End a node with all that it has started, at once."""
    family = psutil.Process(node.pid).children(recursive=True) if node.poll() is None else []
    for process in (*family, node):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    node.wait(30)
