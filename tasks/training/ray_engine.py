"""Train on a Ray cluster: workers share each batch, one of them saves what is learned, and this process watches.

Every worker reads every block, trains on its portion of each batch, and adds its gradient to the others'. All of
them start anew when one is lost; they go on from the newest checkpoint, which like the data is where all reach it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import fsspec
import ray
import tensorflow as tf
from pyarrow.fs import FSSpecHandler, PyFileSystem
from ray import train as ray_train
from ray.train.collective import broadcast_from_rank_zero
from ray.train.tensorflow import TensorflowTrainer

from artifacts.uri import SCHEME
from schemas.errors import InputError, TrainingError
from tasks.sharding.images import ShardedImages
from tasks.training import checkpoints, engine
from tasks.training.worker import SINGLE_WORKER, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from artifacts.store.storage import Storage
    from schemas.recipe import Recipe
    from schemas.results import Dataset, EpochRecord, TrainingResult
    from tasks.training.block_loader import BlockLoader
    from tasks.training.engine import TrainingJob
    from tasks.training.trainer import Trainer

MOST_LOSSES = 8
"""How often workers may be lost in a training: a machine may leave, but what fails each time won't get better."""
KNOCKING_SECONDS = 3.0
SECONDS_BETWEEN_GLANCES = 1.0
SECONDS_TO_SHOW = 90.0
"""What another machine saved last may take so long to be seen: NFS keeps listings for up to a minute."""
NO_ROOM, NO_START = "WorkerGroupStartupTimeoutError", "WorkerGroupStartupFailedError"
"""What Ray's controller fails by that another try may mend: others use the processors, or workers end as they start."""
FAULT = "fault.txt"
MOST_TOLD = 200
"""Characters of what a worker failed by that are told."""
TELLING = re.compile(
    r"(?<=Worker exit detail: ).+?(?= Some common causes|$)"
    r"|Collective ops is aborted by.*$"
    r"|The worker group startup timed out.+?(?=\. |$)",
    re.MULTILINE,
)
"""What tells, within a page: what a worker ended by, what one that missed it did, what keeps them from starting."""


def train(  # noqa: PLR0913, what a training is, and who hears of it
    dataset: Dataset,
    recipe: Recipe,
    work: Storage,
    on_epoch: Callable[[EpochRecord], None],
    tell: Callable[[str], None],
    on_block: Callable[[float], None] = lambda _: None,
    *,
    workers: int,
) -> TrainingResult:
    """Train as `engine.train` does, by so many workers of the cluster that this process has joined.

    The network that comes of it is that of one worker, but for rounding. Raises TrainingError as `engine.train` does,
    and when workers are lost again and again.
    """
    training = engine.planned(_from_anywhere(dataset), recipe, work, workers)
    with training.feed() as feed:
        session = training.begun(feed, tell)
        if not session.ended:
            _follow(session, training, on_epoch, on_block, tell)
        return training.ended(session)


def processors_each(nodes: Sequence[float], workers: int) -> int:
    """Give how many processors each worker may have, for all to find room on nodes with so many; at least one."""
    most = int(max(nodes, default=1))
    fitting = (each for each in range(most, 0, -1) if sum(node // each for node in nodes) >= workers)
    return next(fitting, 1)


def _processors() -> list[float]:
    """Give how many processors each node has, of those that answer: Ray takes a while to miss one that is gone."""
    return [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"] and _answers(node)]


def _answers(node: dict[str, Any]) -> bool:
    try:
        socket.create_connection((node["NodeManagerAddress"], node["NodeManagerPort"]), KNOCKING_SECONDS).close()
    except OSError:
        return False
    return True


def _from_anywhere(dataset: Dataset) -> Dataset:
    """Give the dataset with paths that don't depend on a process' working directory."""
    if not isinstance(dataset.train, ShardedImages):
        return dataset
    return dataclasses.replace(dataset, train=dataset.train.absolute())


def _fitted(training: TrainingJob, tell: Callable[[str], None], over: Event) -> Future[None]:
    """Have Ray train, to the end, in a thread of its own: in the main one it would take over Ctrl-C, and exit with 0.

    The thread ends, at the latest, when it is over and this process leaves the cluster.
    """
    pool = ThreadPoolExecutor(1)
    fitted = pool.submit(_fit, training, tell, over)
    pool.shutdown(wait=False)
    return fitted


def _fit(training: TrainingJob, tell: Callable[[str], None], over: Event) -> None:
    """Have Ray train; when a worker is lost, begin anew by what processors there are then.

    That isn't left to Ray, which would wait for ever for those of a machine that is gone.
    """
    training.place.remove(FAULT)
    shared, losses = ray.put(training), 0
    while True:
        nodes = _processors()
        if over.is_set():
            return
        if sum(nodes) < training.workers:
            tell(f"{training.workers} workers need a processor each, the cluster has {int(sum(nodes))}; they wait")
        try:
            _fit_once(training, shared, processors_each(nodes, training.workers))
        except ray_train.TrainingFailedError as error:
            if over.is_set():
                return
            reason, of_controller = failure_reason(error), _failure_of_controller(error)
            if of_controller == NO_ROOM:
                tell(f"the workers wait for processors that are free ({reason})")
                continue
            if of_controller not in {None, NO_START}:
                raise TrainingError(f"Ray can't train: {reason}") from error
            losses += 1
            if losses > MOST_LOSSES:
                raise TrainingError(f"given up after workers were lost {losses} times, at last: {reason}") from error
            tell(f"a worker was lost ({reason}); all go on anew from the newest checkpoint")
        else:
            return


def _fit_once(training: TrainingJob, shared: ray.ObjectRef, processors: int) -> None:
    name = uuid4().hex
    trainer = TensorflowTrainer(
        _work,
        train_loop_config={"training": shared},
        scaling_config=ray_train.ScalingConfig(
            num_workers=training.workers,
            resources_per_worker={"CPU": processors},
            placement_strategy="SPREAD",
        ),
        run_config=ray_train.RunConfig(
            name=name,
            **_records(training.place),
            failure_config=ray_train.FailureConfig(
                max_failures=0, controller_failure_limit=0, max_preemption_failures=0
            ),
        ),
    )
    try:
        trainer.fit()
    finally:
        with contextlib.suppress(InputError, OSError):
            training.place.remove_folder(name)  # Ray's own records of it


def _failure_of_controller(error: ray_train.TrainingFailedError) -> str | None:
    """Name what Ray's controller failed by; None where a worker did."""
    failure = getattr(error, "controller_failure", None)
    return None if failure is None else type(failure).__name__


def failure_reason(error: ray_train.TrainingFailedError) -> str:
    """Give in a line what a worker, or Ray's controller, failed by; of several workers, one that ended itself."""
    failures = getattr(error, "worker_failures", {}).values()
    text = str(min(failures, key=lambda one: not hasattr(one, "health_check_failure"), default=error))
    if found := TELLING.search(text):
        return found.group()[:MOST_TOLD]
    # The last line of a trace, but for TensorFlow's names of its nodes.
    lines = (line.strip() for line in reversed(text.splitlines()))
    return next((line for line in lines if line and not line.startswith("[[")), type(error).__name__)[:MOST_TOLD]


def _records(place: Storage) -> dict[str, Any]:
    """Tell Ray where to keep its own records of a training, as its arguments."""
    if SCHEME not in str(place):
        return {"storage_path": str(place)}
    store, path = fsspec.url_to_fs(str(place))
    return {"storage_path": path, "storage_filesystem": PyFileSystem(FSSpecHandler(store))}


def _follow(
    session: Trainer,
    training: TrainingJob,
    on_epoch: Callable[[EpochRecord], None],
    on_block: Callable[[float], None],
    tell: Callable[[str], None],
) -> None:
    """Bring a session to where the workers' checkpoints are, and tell of it, until the training has ended."""
    place, seen, over = training.place, "", Event()

    def poll_newest() -> None:
        nonlocal seen
        seen, saved = checkpoints.poll_newest(place, seen)
        if not saved:
            return
        epochs, share = session.epochs_done, session.share_done
        session.restore(saved)
        for record in session.history[epochs:]:
            on_epoch(record)
        if session.share_done > share:
            on_block(session.share_done)

    fitted = _fitted(training, tell, over)
    try:
        while not wait([fitted], SECONDS_BETWEEN_GLANCES).done:
            poll_newest()
    finally:
        over.set()
    fitted.result()
    deadline = time.monotonic() + SECONDS_TO_SHOW
    poll_newest()
    while not session.ended and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            raise TrainingError(place.read(FAULT).decode())
        time.sleep(SECONDS_BETWEEN_GLANCES)
        poll_newest()
    if not session.ended:
        raise TrainingError(
            f"Ray's workers are done, but what they saved isn't in {place}: all machines have to share that place"
        )


def _work(config: dict[str, Any]) -> None:
    """Train as one of Ray's workers."""
    context = ray_train.get_context()
    rank, count = context.get_world_rank(), context.get_world_size()
    processors = int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1))
    tf.config.threading.set_intra_op_parallelism_threads(processors)
    own = SINGLE_WORKER if count == 1 else Worker(rank, count, tf.distribute.MultiWorkerMirroredStrategy())
    training: TrainingJob = ray.get(config["training"])
    try:
        with training.feed() as feed:
            _train(training, feed, own)
    except TrainingError as error:  # all come to the same, and would again: Ray isn't to try
        if rank == 0:
            training.place.write(FAULT, str(error).encode())


def _train(training: TrainingJob, feed: BlockLoader, own: Worker) -> None:
    """Train block after block, together with the other workers; the first one saves each."""
    session = training.begun(feed, print, own)
    _check_agreement(session)
    while not session.ended:
        session.run_block()
        _check_agreement(session)
        if own.rank == 0:
            checkpoints.save(training.place, session.state())


def _check_agreement(session: Trainer) -> None:
    """Raise RuntimeError unless all workers are equally far, with the same weights: Ray starts them anew then."""
    mine = f"{session.summary}: {engine.digest(session.network)}"
    if broadcast_from_rank_zero(mine) != mine:
        raise RuntimeError(f"another worker isn't at {mine}")
