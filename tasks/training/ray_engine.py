"""Train on a Ray cluster: workers share each batch, one of them saves checkpoints, and this process polls these.

Every worker loads every block, trains on its shard of each batch and adds its gradient to the others'. If a worker is
lost, all of them restart from the newest checkpoint. Checkpoints and data are where all machines can read them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from threading import Event
from typing import Any
from uuid import uuid4

import fsspec
import ray
import tensorflow as tf
from pyarrow.fs import FSSpecHandler, PyFileSystem
from ray import train as ray_train
from ray.train.collective import broadcast_from_rank_zero
from ray.train.tensorflow import TensorflowTrainer
from ray.util import placement_group, remove_placement_group

from artifacts.store.storage import Storage
from artifacts.uri import SCHEME
from schemas.errors import InputError, TrainingError, first_line
from schemas.recipe import Recipe
from schemas.results import Dataset, TrainingResult
from schemas.training import EpochRecord
from tasks.training import checkpoints
from tasks.training.job import TrainingJob, plan_job, weights_digest
from tasks.training.trainer import Trainer
from tasks.training.worker import SINGLE_WORKER, Worker

MAX_FAILURES = 8
"""Failed attempts after which training is given up. A lost machine is normal; a repeated failure won't go away."""
PERMANENT = (ImportError, PermissionError, TypeError, ValueError)
"""Errors of Ray's controller that every attempt would repeat: faults of code, configuration or access rights."""
CONNECT_SECONDS = 3.0
PLACEMENT_SECONDS = 60.0
"""How long to wait for free CPUs before that is logged and tried again."""
POLL_SECONDS = 1.0
LAST_CHECKPOINT_SECONDS = 90.0
"""How long another machine's last checkpoint may stay invisible: NFS caches listings for up to a minute."""
ERROR_FILE = "error.txt"
MAX_REASON = 300


def train(  # noqa: PLR0913, as the local engine's, and the workers
    dataset: Dataset,
    recipe: Recipe,
    work: Storage,
    on_epoch: Callable[[EpochRecord], None],
    log: Callable[[str], None],
    on_block: Callable[[float], None] = lambda _: None,
    *,
    workers: int,
) -> TrainingResult:
    """Train like `local_engine.train`, with `workers` workers of the Ray cluster that this process has joined.

    The weights are those of a single worker, except for rounding. Also raises TrainingError after too many failures.
    """
    fit = partial(train, dataset, workers=workers)
    job = plan_job(dataset, recipe, work, workers).with_teacher(fit, log, on_block)
    with job.start_or_resume(log) as trainer:
        if not trainer.is_finished:
            _train_on_cluster(job, _Follower(trainer, job.checkpoints, on_epoch, on_block), log)
        return job.result(trainer)


@dataclasses.dataclass
class _Follower:
    """Keeps this process' trainer at the workers' newest checkpoint and reports their progress."""

    trainer: Trainer
    storage: Storage
    on_epoch: Callable[[EpochRecord], None]
    on_block: Callable[[float], None]
    seen: str = ""

    def update(self) -> None:
        self.seen, state = checkpoints.poll_newest(self.storage, self.seen)
        if not state:
            return
        n_epochs, fraction = self.trainer.n_epochs, self.trainer.fraction_done
        self.trainer.restore(state)
        for record in self.trainer.history[n_epochs:]:
            self.on_epoch(record)
        if self.trainer.fraction_done > fraction:
            self.on_block(self.trainer.fraction_done)


def _train_on_cluster(job: TrainingJob, follower: _Follower, log: Callable[[str], None]) -> None:
    # In a thread: in the main thread Ray would take over Ctrl-C, and exit with 0. Once it is cancelled, the thread ends
    # at the latest when this process leaves the cluster.
    cancelled, pool = Event(), ThreadPoolExecutor(1)
    attempts = pool.submit(_attempt_until_done, job, log, cancelled)
    pool.shutdown(wait=False)
    try:
        while not wait([attempts], POLL_SECONDS).done:
            follower.update()
    finally:
        cancelled.set()
    attempts.result()
    _read_result(job, follower)


def _read_result(job: TrainingJob, follower: _Follower) -> None:
    """Bring the follower to the last checkpoint, or raise the workers' TrainingError."""
    deadline = time.monotonic() + LAST_CHECKPOINT_SECONDS
    follower.update()
    while not follower.trainer.is_finished and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            raise TrainingError(job.checkpoints.read(ERROR_FILE).decode())
        time.sleep(POLL_SECONDS)
        follower.update()
    if not follower.trainer.is_finished:
        raise TrainingError(
            f"Ray's workers are done, but their last checkpoint isn't in {job.checkpoints}: all machines have to share "
            "that folder"
        )


def _attempt_until_done(job: TrainingJob, log: Callable[[str], None], cancelled: Event) -> None:
    """Train with Ray; after a failure, try again with the CPUs that the cluster then has.

    Ray's own retries aren't used: they would wait forever for the CPUs of a machine that is gone.
    """
    job.checkpoints.remove(ERROR_FILE)
    shared_job = ray.put(job)
    for n_failures in range(1, MAX_FAILURES + 2):
        n_cpus = _wait_for_cpus(job.n_workers, log, cancelled)
        if cancelled.is_set():
            return
        try:
            _attempt(job, shared_job, n_cpus)
        except ray_train.TrainingFailedError as error:
            if cancelled.is_set():
                return
            is_worker = not isinstance(error, ray_train.ControllerError)
            message = f"{'a worker was lost' if is_worker else 'the workers did not start'} ({failure_reason(error)})"
            if not is_worker and isinstance(error.controller_failure, PERMANENT):
                raise TrainingError(f"training failed: {message}") from error
            if n_failures > MAX_FAILURES:
                raise TrainingError(f"training failed after {n_failures} attempts; last error: {message}") from error
            log(f"{message}; all workers restart from the newest checkpoint")
        else:
            return


def _wait_for_cpus(n_workers: int, log: Callable[[str], None], cancelled: Event) -> int:
    """Wait until the cluster has free CPUs for all workers; return the number for each. Log once a minute.

    Ray's trainer would fail instead, with an error whose type Ray doesn't export.
    """
    while True:
        nodes = _cpus_by_node()
        n_cpus = cpus_per_worker(nodes, n_workers)
        if cancelled.is_set() or _can_place_workers(n_cpus, n_workers):
            return n_cpus
        if sum(nodes) < n_workers:
            log(f"{n_workers} workers need one CPU each, the cluster has {int(sum(nodes))}; waiting")
        else:
            log("waiting for free CPUs")


def _can_place_workers(n_cpus: int, n_workers: int) -> bool:
    group = placement_group([{"CPU": n_cpus}] * n_workers, strategy="SPREAD")
    try:
        return bool(group.wait(PLACEMENT_SECONDS))
    finally:
        remove_placement_group(group)


def cpus_per_worker(nodes: Sequence[float], n_workers: int) -> int:
    """Return the largest number of CPUs, at least 1, that every worker can have on nodes with these CPU counts."""
    fitting = (each for each in range(int(max(nodes, default=1)), 0, -1) if sum(n // each for n in nodes) >= n_workers)
    return next(fitting, 1)


def _cpus_by_node() -> list[float]:
    # Ray takes a while to notice that a node is gone; a connection shows it at once.
    return [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"] and _is_reachable(node)]


def _is_reachable(node: dict[str, Any]) -> bool:
    try:
        socket.create_connection((node["NodeManagerAddress"], node["NodeManagerPort"]), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _attempt(job: TrainingJob, shared_job: ray.ObjectRef, n_cpus: int) -> None:
    name = uuid4().hex
    trainer = TensorflowTrainer(
        _run_worker,
        train_loop_config={"job": shared_job},
        scaling_config=ray_train.ScalingConfig(
            num_workers=job.n_workers,
            resources_per_worker={"CPU": n_cpus},
            placement_strategy="SPREAD",
        ),
        run_config=ray_train.RunConfig(
            name=name,
            **_ray_storage(job.checkpoints),
            failure_config=ray_train.FailureConfig(controller_failure_limit=0, max_preemption_failures=0),
        ),
    )
    try:
        trainer.fit()
    finally:
        with contextlib.suppress(InputError, OSError):
            job.checkpoints.remove_folder(name)  # Ray's own records of the attempt


def _ray_storage(storage: Storage) -> dict[str, Any]:
    """Return the arguments that make Ray keep its records of an attempt in a storage."""
    if SCHEME not in str(storage):
        return {"storage_path": str(storage)}
    filesystem, path = fsspec.url_to_fs(str(storage))
    return {"storage_path": path, "storage_filesystem": PyFileSystem(FSSpecHandler(filesystem))}


def failure_reason(error: ray_train.TrainingFailedError) -> str:
    """Return one line on why an attempt failed; of several workers' failures, one of a lost process."""
    if isinstance(error, ray_train.ControllerError):
        return first_line(error.controller_failure)
    failures = error.worker_failures.values() if isinstance(error, ray_train.WorkerGroupError) else ()
    # Ray wraps the error of a lost process in one whose class it doesn't export.
    causes = [getattr(failure, "health_check_failure", failure) for failure in failures]
    # The other workers fail, too, because they lose their connection to it.
    cause = min(causes, key=lambda cause: not isinstance(cause, ray.exceptions.RayError), default=error)
    if isinstance(cause, ray.exceptions.OutOfMemoryError):
        return "its machine ran out of memory"
    if isinstance(cause, tf.errors.OpError):
        return f"TensorFlow's {type(cause).__name__}, often a lost connection between workers"
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return lines[-1][:MAX_REASON]  # Ray puts the details of a lost process last


def _run_worker(config: dict[str, Any]) -> None:
    """Train as one of Ray's workers."""
    context = ray_train.get_context()
    index, n_workers = context.get_world_rank(), context.get_world_size()
    n_cpus = int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1))
    tf.config.threading.set_intra_op_parallelism_threads(n_cpus)
    strategy = tf.distribute.MultiWorkerMirroredStrategy
    worker = SINGLE_WORKER if n_workers == 1 else Worker(index, n_workers, strategy())
    job: TrainingJob = ray.get(config["job"])
    try:
        with job.start_or_resume(print, worker) as trainer:
            _check_agreement(trainer)
            while not trainer.is_finished:
                trainer.run_block()
                _check_agreement(trainer)
                if index == 0 and trainer.is_checkpoint_due:
                    checkpoints.save(job.checkpoints, trainer.state())
    except TrainingError as error:  # the same on all workers and in every attempt, so it must not fail this one
        if index == 0:
            job.checkpoints.write(ERROR_FILE, str(error).encode())


def _check_agreement(trainer: Trainer) -> None:
    """Raise RuntimeError, which restarts all workers, unless they are at the same block with the same weights."""
    state = f"{trainer.summary}: {weights_digest(trainer.network)}"
    if broadcast_from_rank_zero(state) != state:
        raise RuntimeError(f"another worker isn't at {state}")
