"""Time a worker's portion of a batch, for several numbers of workers, and the exchange of gradients between two.

The portion is computed by this process with all its cores, as on a machine of its own, and nothing is exchanged. The
exchange is between two processes on loopback that have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from schemas.recipe import PRESETS, Overrides
from tasks.inference.start_up import import_tensorflow

if TYPE_CHECKING:
    from schemas.recipe import Recipe

WORKERS = (1, 2, 8, 64)
BATCHES, REPETITIONS = 32, 5
EXCHANGES = 200
LOOPBACK = "127.0.0.1"


def main() -> None:
    """Print the seconds of each as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", choices=PRESETS, required=True)
    parser.add_argument("--overrides", default="{}", help="fields of the recipe that are to differ, as JSON")
    parser.add_argument("--exchange", action="store_true", help="be one of two that TF_CONFIG names")
    options = parser.parse_args()
    recipe = Overrides.model_validate_json(options.overrides).applied_to(options.recipe)
    if options.exchange:
        import_tensorflow()
        print(json.dumps(exchanged(recipe)))
        return
    exchange_seconds = between_two(sys.argv[1:])
    import_tensorflow()
    from tasks.training.networks import build

    measured = {
        "batch": recipe.batch_size,
        "gradient_bytes": 4 * build(recipe.network, recipe.seed).count_params(),
        "portion_seconds": {workers: portion_seconds(recipe, workers) for workers in WORKERS},
        "exchange_seconds": exchange_seconds,
    }
    print(json.dumps(measured))


def portion_seconds(recipe: Recipe, workers: int) -> list[float]:
    """Give the seconds that one of so many workers needs for its portion of a batch, the update included.

    The last one: where there are more of them than groups of images, others have nothing to do.
    """
    import keras
    import tensorflow as tf

    from tasks.training.block import compile_block
    from tasks.training.networks import build
    from tasks.training.optimizers import build_optimizer
    from tasks.training.worker import Worker

    network = build(recipe.network, recipe.seed)
    optimizer = build_optimizer(recipe, BATCHES)
    optimizer.build(network.trainable_variables)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing, reduction="sum")
    own = Worker(workers - 1, workers, tf.distribute.get_strategy())
    train_block = compile_block(network, loss, optimizer, recipe, own)
    random = np.random.default_rng(0)
    rows = BATCHES * recipe.batch_size
    pixels = tf.constant(random.integers(0, 256, (rows, 784), np.uint8))
    labels = tf.constant(random.integers(0, 10, rows, np.int32))
    seconds = []
    for number in range(REPETITIONS + 1):
        started = time.perf_counter()
        float(train_block(pixels, labels, tf.constant([0, number])).loss)
        seconds.append((time.perf_counter() - started) / BATCHES)
    return seconds[1:]  # the first one compiles


def between_two(flags: list[str]) -> list[float]:
    """Start two processes that exchange gradients, and give the seconds of an exchange."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind((LOOPBACK, 0))
        workers = [f"{LOOPBACK}:{each.getsockname()[1]}" for each in (one, other)]
    started = [
        subprocess.Popen(
            [sys.executable, __file__, *flags, "--exchange"],
            env=os.environ
            | {"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": rank}})},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(len(workers))
    ]
    told = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        sys.exit("the two processes that exchange gradients ended badly")
    seconds: list[float] = json.loads(told[0].splitlines()[-1])
    return seconds


def exchanged(recipe: Recipe) -> list[float]:
    """Exchange gradients with the other process again and again, as a training does; give the seconds of each."""
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    from tasks.training.networks import build
    from tasks.training.worker import Worker

    own = Worker(0, 2, strategy)
    with strategy.scope():
        shapes = [weight.shape for weight in build(recipe.network, recipe.seed).trainable_variables]

    @tf.function
    def exchanges() -> tf.Tensor:
        values = [tf.zeros(shape) for shape in shapes]
        for _ in tf.range(EXCHANGES):
            values = own.run(own.summed, values)
        return tf.add_n([tf.reduce_sum(value) for value in values])

    seconds = []
    for _ in range(REPETITIONS + 1):
        started = time.perf_counter()
        float(exchanges())
        seconds.append((time.perf_counter() - started) / EXCHANGES)
    return seconds[1:]


if __name__ == "__main__":
    main()
