"""Do what `flows/train_flow.py` does with its defaults, as one plain script: what orchestration adds is beside this."""

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts import report
from artifacts.store import Store
from schemas import pixel_frame
from schemas.recipe import Overrides
from schemas.results import Run
from tasks.sources import catalogue
from tasks.training.start_up import import_tensorflow

if TYPE_CHECKING:
    from schemas.recipe import Recipe
    from schemas.results import Dataset, Evaluation, Trained

LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "pandera", "scikit-learn", "prefect", "seaborn", "matplotlib")


def main() -> None:
    """Load, validate, train, evaluate, plot, publish; print the accuracy as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int)
    options = parser.parse_args()
    recipe = Overrides(seed=options.seed, epochs=options.epochs).applied_to("fast")

    import_tensorflow()
    store = Store(options.store)
    dataset = catalogue.read("mnist")
    pixel_frame.validate(pixel_frame.LABELLED, dataset.train, "training rows")
    pixel_frame.validate(pixel_frame.LABELLED, dataset.test, "test rows")
    trained = train(dataset, recipe, store)
    evaluation = evaluate(trained, dataset)
    publish(store, describe(dataset, trained, evaluation), trained, plot(trained, evaluation))
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


def plot(trained: Trained, evaluation: Evaluation) -> dict[str, bytes]:
    """Draw the report's pictures."""
    from artifacts import figures

    return {
        "confusion_matrix": figures.png(figures.confusion_heatmap(evaluation.confusion_matrix, evaluation.accuracy)),
        "learning_curve": figures.png(figures.learning_curve(trained.history, augmented=trained.recipe.augments)),
        "mistakes": figures.png(figures.mistake_sheet(evaluation.mistakes)),
    }


def describe(dataset: Dataset, trained: Trained, evaluation: Evaluation) -> Run:
    """Gather what the report tells."""
    return Run(
        dataset_name=dataset.name,
        dataset_fingerprint=dataset.fingerprint,
        training_rows=trained.training_rows,
        validation_rows=trained.validation_rows,
        test_rows=evaluation.rows,
        recipe=trained.recipe,
        fingerprint=trained.fingerprint,
        weights_digest=trained.digest,
        history=trained.history,
        evaluation=evaluation,
        seconds={"everything": time.perf_counter()},
        libraries={name: version(name) for name in LIBRARIES},
    )


def publish(store: Store, run: Run, trained: Trained, pictures: dict[str, bytes]) -> None:
    """Make a version in the store."""
    with store.new_version() as (number, folder):
        trained.network.save(folder / "model.keras")
        (folder / "metrics.json").write_text(json.dumps(run.metrics(), indent=2) + "\n")
        (folder / "report.md").write_text(report.training_report(run, number, report.linked))
        for name, picture in pictures.items():
            (folder / f"{name}.png").write_bytes(picture)
    store.remove_work(trained.fingerprint)


if __name__ == "__main__":
    main()
