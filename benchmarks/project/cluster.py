"""Measure what a cluster would spend on a batch: a machine's share of it, the exchange of gradients, reading from disk.

The share is trained by this process with all its cores, as on a machine of its own. The exchange is between two
processes on loopback that do nothing else.
"""

from __future__ import annotations

import json
import math
import os
import socket
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import api
import numpy as np
from inputs import shards
from metrics import MACHINES
from timing import flag_parser, seconds_of

GROUP = 32  # images that share a deformation, and thus a machine
CHUNK = 64  # neighbours that are read together
BATCHES, REPETITIONS, EXCHANGES = 32, 5, 200


def main() -> None:
    """Print the seconds of each."""
    parser = flag_parser(__doc__)
    parser.add_argument("--shards", type=int, required=True)
    options, flags = parser.parse_known_args()
    recipe = api.parse_recipe([*flags, "--validation-fraction", "0"], options.seed, quick=False)

    api.import_tensorflow()
    mnist = api.validate(api.load("mnist"))
    shapes = api.Trainer(mnist, recipe).weight_shapes
    metrics = {
        "batch": recipe.batch_size,
        "gradient_bytes": 4 * sum(map(math.prod, shapes)),
        "row_read_seconds": row_read_seconds(shards(options.data, options.shards, quick=options.quick), options.work),
        "exchange_seconds": exchange_seconds(shapes),
        "step_seconds": {machines: step_seconds(mnist, recipe, machines) for machines in MACHINES},
    }
    print(json.dumps(metrics))


def row_read_seconds(source: Path, work: Path) -> float:
    """Return the seconds per row of reading a quarter of the rows, in chunks from everywhere."""
    with tempfile.TemporaryDirectory(dir=work) as cache:
        train = api.validate(api.load(source, "mnist"), Path(cache)).train
        chunks = np.random.default_rng(0).permutation(len(train) // CHUNK)[: len(train) // CHUNK // 4]
        rows = np.sort((chunks[:, None] * CHUNK + np.arange(CHUNK)).ravel())
        return seconds_of(lambda: train.read(rows)) / len(rows)


def step_seconds(dataset: api.Dataset, recipe: api.Recipe, machines: int) -> list[float]:
    """Return the seconds that one of several machines spends on its share of a batch, the update included."""
    rows = math.ceil(math.ceil(recipe.batch_size / GROUP) / machines) * GROUP
    # Small batches would diverge at the rate of large ones.
    changes = {"batch_size": rows, "epochs": REPETITIONS + 1, "learning_rate": 1e-3}
    trainer = api.Trainer(api.first_rows(dataset, BATCHES * rows), recipe.model_copy(update=changes))
    seconds = [seconds_of(trainer.run_epoch) / BATCHES for _ in range(REPETITIONS + 1)]
    trainer.finish()
    return seconds[1:]  # the first one compiles


def exchange_seconds(shapes: Sequence[tuple[int, ...]]) -> list[float]:
    """Return the seconds of an exchange of gradients between two processes."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        seconds, _ = pool.map(partial(_exchange, shapes, addresses), range(2))
        return seconds


def _exchange(shapes: Sequence[tuple[int, ...]], addresses: Sequence[str], index: int) -> list[float]:
    """Exchange gradients with the other process again and again, as a training does."""
    cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    os.environ["TF_CONFIG"] = json.dumps(cluster)
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()

    def add_up(values: Any) -> Any:  # noqa: ANN401, tensors
        here = [tf.identity(value) for value in values]  # on this worker's device: a loop's values are on none
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)

    def exchange() -> Any:  # noqa: ANN401
        values = [tf.zeros(shape) for shape in shapes]
        for _ in tf.range(EXCHANGES):
            values = strategy.run(add_up, (values,))
        return tf.add_n([tf.reduce_sum(value) for value in values])

    compiled = tf.function(exchange)
    return [seconds_of(lambda: float(compiled())) / EXCHANGES for _ in range(REPETITIONS + 1)][1:]


if __name__ == "__main__":
    main()
