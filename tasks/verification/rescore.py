"""Evaluate a version again, in a process of its own: `python -m tasks.verification.rescore FOLDER [--reproduce]`.

Prints the differences from its card as a JSON list.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artifacts.reports import card
from artifacts.store import version_files
from artifacts.store.folder_storage import FolderStorage
from artifacts.store.storage import Storage
from artifacts.store.store import CARD, MODEL
from schemas.errors import InputError, TrainingError
from schemas.recipe import Recipe
from schemas.results import Dataset, TrainingResult
from schemas.review import Correction
from schemas.rules import Rules
from tasks.inbox import merger
from tasks.inference.start_up import import_tensorflow
from tasks.sharding.shard_cache import ShardCache, in_threads
from tasks.sources import datasets
from tasks.validation import inspection, profiles

TOLERANCE = 1e-6
"""Relative and absolute tolerance of floats: other machines may round the last digits differently."""


def main() -> None:
    """Print the differences as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reproduce", action="store_true")
    options = parser.parse_args()
    import_tensorflow()
    # Shards are cached again, in a temporary folder: the store's own copies may have been changed.
    with tempfile.TemporaryDirectory(prefix="rescore-") as work:
        try:
            faults = rescore(options.folder, FolderStorage(Path(work)), reproduce=options.reproduce)
        except (InputError, TrainingError) as error:
            faults = [f"it can't be evaluated ({error})"]
    json.dump(faults, sys.stdout)


def rescore(folder: Path, work: Storage, *, reproduce: bool) -> list[str]:
    """Evaluate the model on the card's data, with `reproduce` also train again; return the differences."""
    from tasks.inference import model
    from tasks.training import fingerprint, job, sampling

    stated = json.loads((folder / CARD).read_text("utf-8"))
    dataset = read_data(stated["data"], work.child("shards"), version_files.read_corrections(folder))
    network = model.load_network(folder / MODEL)
    recipe = Recipe.model_validate(stated["recipe"])
    pairs = [
        (stated["data"]["fingerprint"], dataset.fingerprint, "the fingerprint of the data"),
        (stated["weights_digest"], job.weights_digest(network), "the digest of the weights"),
    ]
    if not dataset.n_folds:  # metrics of cross-validation need `reproduce`
        _, held_out = sampling.split(dataset, recipe)
        predicted = (model.predict_images(network, images) for images in (held_out, dataset.test))
        pairs += _metrics_pairs(stated, dataset, held_out.labels, *predicted)
    if reproduce:
        if (workers := stated["environment"].get("workers", 1)) > 1:
            raise InputError(f"it was trained by {workers} workers; a single worker rounds their sums differently")
        precision, own = stated["environment"].get("precision", "float32"), fingerprint.precision(recipe)
        if precision != own:
            raise InputError(f"it was trained with {precision}; this processor trains with {own}")
        trained = _train(dataset, recipe, work)
        pairs.append((stated["weights_digest"], trained.digest, "the digest of the retrained weights"))
        if dataset.n_folds:
            probabilities = trained.held_out_probabilities
            pairs += _metrics_pairs(stated, dataset, trained.held_out_labels, probabilities, probabilities)
    return [line for pair in pairs for line in differences(*pair)]


def _metrics_pairs(
    stated: dict[str, Any],
    dataset: Dataset,
    held_out_labels: NDArray[np.uint8],
    held_out: NDArray[np.float32],
    test: NDArray[np.float32],
) -> list[tuple[Any, Any, str]]:
    """Return the card's metrics with those that the probabilities of held-out and test rows give."""
    from tasks.scoring import metrics

    threshold = metrics.abstention_threshold(held_out, held_out_labels)
    evaluation = metrics.evaluation(dataset.test, test, threshold, dataset.n_folds)
    pairs = [(stated["figures"], card.metrics(evaluation), "figures")]
    if "level" in stated.get("abstention", {}):  # an earlier release chose the threshold by another rule
        pairs.append((stated["abstention"], dataclasses.asdict(evaluation.abstention), "abstention"))
    return pairs


def _train(dataset: Dataset, recipe: Recipe, work: Storage) -> TrainingResult:
    from tasks.training import cross_validation, local_engine

    def fit(part: Dataset) -> TrainingResult:
        return local_engine.train(part, recipe, work, on_epoch=lambda _: None, log=lambda _: None)

    trained = fit(dataset)
    return cross_validation.evaluate(dataset, trained, fit) if dataset.n_folds else trained


def read_data(data: dict[str, Any], shards: Storage, corrections: tuple[Correction, ...]) -> Dataset:
    """Read and validate the data of a card's `data` entry, corrected.

    Raises InputError if it isn't available any more.
    """
    rules = Rules.model_validate(data["rules"])
    source = datasets.load(data["source"], data["test_source"], rules)
    loaded = merger.with_files(source, data["added"], rules, corrections)
    rules = rules.model_copy(update={"wrong_labels": "warning"})  # they were checked against another reference
    validation, dataset = inspection.inspect(loaded, rules, profiles.load_embedded(), ShardCache(shards, in_threads))
    if dataset is None:
        raise InputError(validation.refusal)
    return dataset


def differences(stated: Any, actual: Any, where: str) -> list[str]:  # noqa: ANN401, any JSON
    """List all values in which two JSON values differ: `figures.recall.4 is 0.98, the card says 0.99`."""
    if isinstance(stated, dict) and isinstance(actual, dict):
        keys = sorted({*stated, *actual})
        return [line for key in keys for line in differences(stated.get(key), actual.get(key), f"{where}.{key}")]
    if isinstance(stated, list) and isinstance(actual, list) and len(stated) == len(actual):
        pairs = enumerate(zip(stated, actual, strict=True))
        return [line for index, (a, b) in pairs for line in differences(a, b, f"{where}[{index}]")]
    if isinstance(stated, float) and isinstance(actual, float):
        same = math.isclose(stated, actual, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    else:
        same = stated == actual
    return [] if same else [f"{where} is {actual}, the card says {stated}"]


if __name__ == "__main__":
    main()
