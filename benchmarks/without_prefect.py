"""Do what `flows/train_flow.py` does with its defaults, as one plain script: what orchestration adds is beside this."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from contenders.mnist import embedded_mnist

from artifacts import version
from artifacts.store import Store
from schemas import pixel_frame
from schemas.recipe import Overrides
from tasks.training.start_up import import_tensorflow

if TYPE_CHECKING:
    from schemas.recipe import Recipe
    from schemas.results import Dataset, Evaluation, Run, Trained


def main() -> None:
    """Load, validate, train, evaluate, plot, publish; print the accuracy as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int)
    options = parser.parse_args()
    recipe = Overrides(seed=options.seed, epochs=options.epochs).applied_to("fast")

    import_tensorflow()
    from artifacts import figures

    store = Store(options.store)
    started = time.perf_counter()
    dataset = embedded_mnist()
    sheet = figures.data_sheet(dataset.validation.means, dataset.validation.reference_means, dataset.validation.drifts)
    trained = train(dataset, recipe, store)
    evaluation = evaluate(trained, dataset)
    pictures = {"data": figures.png(sheet), **figures.of_a_run(trained, evaluation)}
    seconds = {"everything": time.perf_counter() - started}
    publish(store, version.describe(dataset, trained, evaluation, seconds), trained, dataset, pictures)
    print(json.dumps({"accuracy": evaluation.accuracy}))


def train(dataset: Dataset, recipe: Recipe, store: Store) -> Trained:
    """Train with checkpoints, telling of each epoch."""
    from tasks.training import engine

    return engine.train(
        dataset,
        recipe,
        store.work,
        on_epoch=lambda record: print(record, file=sys.stderr),
        tell=lambda line: print(line, file=sys.stderr),
    )


def evaluate(trained: Trained, dataset: Dataset) -> Evaluation:
    """Judge on the test frame."""
    from tasks.scoring import figures_of_merit
    from tasks.training.inference import predictor, probabilities

    pixels = pixel_frame.pixels_of(dataset.test)
    answers = probabilities(predictor(trained.network), pixels)
    return figures_of_merit.evaluation(pixels, pixel_frame.labels_of(dataset.test), answers)


def publish(store: Store, run: Run, trained: Trained, dataset: Dataset, pictures: dict[str, bytes]) -> None:
    """Make a version in the store."""
    with store.new_version() as (number, folder):
        trained.network.save(folder / "model.keras")
        version.write(folder, number, run, dataset.profile, pictures)
    store.remove_work(trained.fingerprint)


if __name__ == "__main__":
    main()
