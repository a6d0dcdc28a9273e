"""Train with this project's engine: a recipe, and fields of it as flags, such as `--batch-size 128`.

Without checkpoints, which no baseline writes.
"""

from __future__ import annotations

import json
from importlib.metadata import version

import api
import numpy as np
from timing import EpochTimer, flag_parser, seconds_of

from artifacts.processor import training_precision
from schemas.recipe import Recipe
from tasks.inference.start_up import import_tensorflow

MATRIX_SIDE, COPIED_BYTES = 2048, 2**28
REPETITIONS = 12


def main() -> None:
    parser = flag_parser(__doc__)
    parser.add_argument("--machine", action="store_true", help="measure the machine's speed before and after, too")
    options, flags = parser.parse_known_args()
    recipe = api.parse_recipe(flags, options.seed, quick=options.quick)
    import_tensorflow()
    speeds = [machine_speed()] if options.machine else []
    metrics = train(recipe)
    speeds += [machine_speed()] if options.machine else []
    metrics |= {name: max(speed[name] for speed in speeds) for name in (speeds[0] if speeds else ())}
    print(json.dumps(metrics | {"libraries": {name: version(name) for name in ("keras", "tensorflow", "numpy")}}))


def train(recipe: Recipe) -> dict[str, object]:
    """Train on MNIST, the test accuracy evaluated after each epoch."""
    from tasks.inference.predictor import predictor
    from tasks.training.block_loader import BlockLoader
    from tasks.training.sampling import block_sampler, split
    from tasks.training.trainer import Trainer

    dataset = api.validate(api.load("mnist"))
    test, timer = dataset.test, EpochTimer()
    images, held_out = split(dataset, recipe)
    with BlockLoader(images, block_sampler(dataset, len(images), recipe), recipe.epochs) as loader:
        trainer = Trainer(loader, held_out, recipe, training_precision(recipe.network))
        predict = predictor(trainer.network)

        def accuracy() -> float:
            return float((predict(test.read(slice(None))).argmax(axis=1) == test.labels).mean())

        while not trainer.is_finished:
            trainer.run_block()  # an epoch: all rows are in memory
            timer.end_epoch(accuracy)
        trainer.final_network()
        return timer.to_dict() | {"accuracy": accuracy()}


def machine_speed() -> dict[str, float]:
    """Return the best rates of a product of float32 matrices, in operations, and of a copy, in bytes a second."""
    import tensorflow as tf

    left, right = (tf.random.normal([MATRIX_SIDE, MATRIX_SIDE]) for _ in range(2))
    source, target = np.ones(COPIED_BYTES, np.uint8), np.ones(COPIED_BYTES, np.uint8)
    product = min(seconds_of(lambda: tf.linalg.matmul(left, right)) for _ in range(REPETITIONS))
    copy = min(seconds_of(lambda: np.copyto(target, source)) for _ in range(REPETITIONS))
    return {"matmul_flops": 2 * MATRIX_SIDE**3 / product, "copied_bytes_per_second": COPIED_BYTES / copy}


if __name__ == "__main__":
    main()
