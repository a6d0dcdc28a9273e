"""Measure what a cluster would spend on a batch: a worker's share of it, the exchange of gradients, reading from disk.

The share is trained by this process with all its cores, as on a machine of its own. The exchange is between two
processes on loopback that do nothing else.
"""

from __future__ import annotations

import json
import math
import os
import socket
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import api
from inputs import shards
from timing import flag_parser, seconds_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.results import Dataset

WORKERS = (1, 2, 8, 64)
GROUP = 32  # images that share a deformation, and thus a worker
BATCHES, REPETITIONS, EXCHANGES = 32, 5, 200
BLOCKS = 4
LOOPBACK = "127.0.0.1"


def main() -> None:
    """Print the seconds of each."""
    parser = flag_parser(__doc__)
    parser.add_argument("--shards", type=int, required=True)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--network", default="mlp")
    parser.add_argument("--batch-size", type=int)
    options = parser.parse_args()
    overrides = {"network": options.network, "batch_size": options.batch_size, "learning_rate": 1e-3}
    overrides |= {"epochs": REPETITIONS + 1, "validation_fraction": 0}
    recipe = api.make_recipe(options.recipe, options.seed, overrides)

    api.import_tensorflow()
    mnist = api.validate(api.load("mnist"))
    network = api.Trainer(mnist, recipe).network
    with tempfile.TemporaryDirectory(dir=options.work) as cache:
        source = api.load(shards(options.data, options.shards, quick=options.quick), "mnist")
        train = api.validate(source, Path(cache)).train
        block = math.ceil(len(train) / BLOCKS)
        row_read_seconds = seconds_of(lambda: api.read_rows(train, block)) / block
    metrics = {
        "batch": recipe.batch_size,
        "gradient_bytes": 4 * network.count_params(),
        "row_read_seconds": row_read_seconds,
        "exchange_seconds": exchange_seconds([tuple(weight.shape) for weight in network.trainable_variables]),
        "step_seconds": {workers: step_seconds(mnist, recipe, workers) for workers in WORKERS},
    }
    print(json.dumps(metrics))


def step_seconds(dataset: Dataset, recipe: api.Recipe, workers: int) -> list[float]:
    """Return the seconds that one worker spends on its share of a batch, the weights' update included."""
    rows = math.ceil(math.ceil(recipe.batch_size / GROUP) / workers) * GROUP
    recipe = recipe.model_copy(update={"batch_size": rows})
    trainer = api.Trainer(api.first_rows(dataset, BATCHES * rows), recipe)
    seconds = [seconds_of(trainer.run_epoch) / BATCHES for _ in range(recipe.epochs)]
    trainer.finish()
    return seconds[1:]  # the first one compiles


def exchange_seconds(shapes: Sequence[tuple[int, ...]]) -> list[float]:
    """Return the seconds of an exchange of gradients between two processes."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        addresses = [f"{LOOPBACK}:{each.getsockname()[1]}" for each in sockets]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        runs = [pool.submit(_exchange, addresses, index, shapes) for index in range(2)]
        return next(run.result() for run in runs)


def _exchange(addresses: Sequence[str], index: int, shapes: Sequence[tuple[int, ...]]) -> list[float]:
    """Exchange gradients with the other process again and again, as a training does."""
    cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    os.environ["TF_CONFIG"] = json.dumps(cluster)
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()

    def add_up(values: Any) -> Any:  # noqa: ANN401, tensors
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)

    def exchange() -> Any:  # noqa: ANN401
        values = [tf.zeros(shape) for shape in shapes]
        for _ in tf.range(EXCHANGES):
            values = strategy.run(add_up, (values,))
        return tf.add_n([tf.reduce_sum(value) for value in values])

    compiled = tf.function(exchange)
    seconds = [seconds_of(lambda: float(compiled())) / EXCHANGES for _ in range(REPETITIONS + 1)]
    return seconds[1:]


if __name__ == "__main__":
    main()
