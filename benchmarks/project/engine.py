"""Train with this project's engine: a recipe, with some of its fields changed.

Without checkpoints, which no baseline writes.
"""

from __future__ import annotations

import json
import time
from importlib.metadata import version

import api
from timing import QUICK_EPOCHS, EpochTimer, flag_parser

MATRIX_SIDE = 2048
REPETITIONS = 12


def main() -> None:
    """Train and print the metrics."""
    parser = flag_parser(__doc__)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--overrides", default={}, type=json.loads, help="fields of the recipe to change, as JSON")
    parser.add_argument("--matmul-peak", action="store_true", help="measure the machine's peak before and after, too")
    options = parser.parse_args()
    overrides = options.overrides | ({"epochs": QUICK_EPOCHS} if options.quick else {})
    recipe = api.make_recipe(options.recipe, options.seed, overrides)

    api.import_tensorflow()
    peak = matmul_flops() if options.matmul_peak else 0.0
    metrics = train(recipe)
    if options.matmul_peak:
        metrics["matmul_flops"] = max(peak, matmul_flops())
    libraries = {name: version(name) for name in ("keras", "tensorflow", "numpy")}
    print(json.dumps(metrics | {"libraries": libraries}))


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
