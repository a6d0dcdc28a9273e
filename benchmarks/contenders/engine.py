"""This project's engine, trained by a recipe: a preset and the fields of it that are to differ."""

from __future__ import annotations

import argparse
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from laps import Laps, report
from mnist import embedded_mnist

from schemas.recipe import PRESETS, Overrides
from tasks.inference.start_up import import_tensorflow

if TYPE_CHECKING:
    from schemas.recipe import Recipe

MATMUL_SIDE = 2048


def main() -> None:
    """Train and report; `--peak` seeks the machine's matrix-product peak too, before and after the training."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipe", choices=PRESETS, default="fast")
    parser.add_argument("--overrides", default="{}", help="fields of the recipe that are to differ, as JSON")
    parser.add_argument("--peak", action="store_true")
    options = parser.parse_args()
    recipe = Overrides.model_validate_json(options.overrides).applied_to(options.recipe)
    recipe = recipe.model_copy(update={"seed": options.seed})

    import_tensorflow()
    peak_before = matmul_flops() if options.peak else 0.0
    laps, final_accuracy = train(recipe)
    peak_after = matmul_flops() if options.peak else 0.0
    libraries = {name: version(name) for name in ("keras", "tensorflow", "numpy")}
    report(laps, final_accuracy, libraries, max(peak_before, peak_after) or None)


def train(recipe: Recipe) -> tuple[Laps, float]:
    """Train as the engine does, without its checkpoints, which no other contender writes; give the final accuracy."""
    from tasks.training.engine import split

    from tasks.inference.model import predictor, probabilities
    from tasks.training.block_loader import BlockLoader
    from tasks.training.block_sampler import plan
    from tasks.training.trainer import Trainer

    dataset = embedded_mnist()
    images, held_out = split(dataset, recipe)
    pixels, labels = dataset.test.read(slice(None)), dataset.test.labels

    laps = Laps()
    layout = plan(dataset, len(images), recipe)
    session = Trainer(images.labels, layout, BlockLoader(images, layout, recipe.epochs), held_out, recipe)
    predict = predictor(session.network)

    def accuracy() -> float:
        return float((probabilities(predict, pixels).argmax(axis=1) == labels).mean())

    while not session.ended:
        session.run_block()
        laps.epoch_done(accuracy)
    session.finished()  # leaves the final weights in the network
    return laps, accuracy()


def matmul_flops(repetitions: int = 12) -> float:
    """Give the best rate of a float32 product of two square matrices, in operations a second."""
    import tensorflow as tf

    left, right = (tf.random.normal([MATMUL_SIDE, MATMUL_SIDE]) for _ in range(2))
    best = float("inf")
    for _ in range(repetitions):
        started = time.perf_counter()
        tf.linalg.matmul(left, right)
        best = min(best, time.perf_counter() - started)
    return 2 * MATMUL_SIDE**3 / best


if __name__ == "__main__":
    main()
