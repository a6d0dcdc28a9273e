"""Train with this project's engine: a recipe, and fields of it as flags, such as `--batch-size 128`.

Without checkpoints, which no baseline writes.
"""

from __future__ import annotations

import json
import time
from importlib.metadata import version

import api
from timing import EpochTimer, flag_parser

MATRIX_SIDE = 2048
REPETITIONS = 12


def main() -> None:
    """Train and print the metrics."""
    parser = flag_parser(__doc__)
    parser.add_argument("--matmul-peak", action="store_true", help="measure the machine's peak before and after, too")
    options, flags = parser.parse_known_args()
    recipe = api.parse_recipe(flags, options.seed, quick=options.quick)
    api.import_tensorflow()
    peaks = [matmul_flops()] if options.matmul_peak else []
    metrics = train(recipe)
    peaks += [matmul_flops()] if options.matmul_peak else []
    metrics |= {"matmul_flops": max(peaks)} if peaks else {}
    print(json.dumps(metrics | {"libraries": {name: version(name) for name in ("keras", "tensorflow", "numpy")}}))


def train(recipe: api.Recipe) -> dict[str, object]:
    """Train on MNIST, the test accuracy evaluated after each epoch."""
    dataset = api.validate(api.load("mnist"))
    timer = EpochTimer()
    trainer = api.Trainer(dataset, recipe)
    while not trainer.is_done:
        trainer.run_epoch()
        timer.end_epoch(lambda: trainer.accuracy(dataset.test))
    trainer.finish()
    return timer.to_dict() | {"accuracy": trainer.accuracy(dataset.test)}


def matmul_flops() -> float:
    """Return the best rate of a float32 product of two square matrices, in operations per second."""
    import tensorflow as tf

    left, right = (tf.random.normal([MATRIX_SIDE, MATRIX_SIDE]) for _ in range(2))
    best = float("inf")
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        tf.linalg.matmul(left, right)
        best = min(best, time.perf_counter() - started)
    return 2 * MATRIX_SIDE**3 / best


if __name__ == "__main__":
    main()
