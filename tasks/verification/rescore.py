"""Evaluate a version again, in a process of its own: `python -m tasks.verification.rescore FOLDER [--reproduce]`.

Prints the metrics that its card should state as JSON, or `{"fault": …}` if they can't be computed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts.reports import card
from artifacts.store.storage import FolderStorage, Storage
from artifacts.store.store import CARD, MODEL
from schemas.errors import InputError, TrainingError
from schemas.recipe import Recipe
from schemas.rules import Rules
from tasks.inbox import merger
from tasks.inference.start_up import import_tensorflow
from tasks.sharding.shard_cache import ShardCache, in_threads
from tasks.sources import formats
from tasks.validation import inspection, profiles

if TYPE_CHECKING:
    from schemas.results import Dataset


def main() -> None:
    """Print the result; the exit code is 0 even for a fault."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reproduce", action="store_true")
    options = parser.parse_args()
    import_tensorflow()
    # Shards are cached again, in a temporary folder: the store's own copies may have been changed.
    with tempfile.TemporaryDirectory(prefix="rescore-") as work:
        try:
            result = rescore(options.folder, FolderStorage(Path(work)), reproduce=options.reproduce)
        except (InputError, TrainingError) as error:
            result = {"fault": str(error)}
    json.dump(result, sys.stdout)


def rescore(folder: Path, work: Storage, *, reproduce: bool) -> dict[str, Any]:
    """Read the card's data and evaluate the model on it; with `reproduce`, also train again by the card's recipe."""
    from tasks.inference import model
    from tasks.scoring import abstention, metrics
    from tasks.training import job, local_engine, sampling

    stated = json.loads((folder / CARD).read_text())
    dataset = read_data(stated["data"], work.child("shards"))
    network = model.load_network(folder / MODEL)
    recipe = Recipe.model_validate(stated["recipe"])
    _, held_out_images = sampling.split(dataset, recipe)
    threshold = abstention.threshold(model.predict_images(network, held_out_images), held_out_images.labels)
    evaluation = metrics.evaluation(dataset.test, model.predict_images(network, dataset.test), threshold)
    result: dict[str, Any] = {
        "figures": card.metrics(evaluation),
        "abstention": dataclasses.asdict(evaluation.abstention),
        "data": dataset.fingerprint,
        "weights": job.weights_digest(network),
    }
    if reproduce:
        if (workers := stated["environment"].get("workers", 1)) > 1:
            raise InputError(f"{workers} workers trained it together, and a single one rounds their sums differently")
        trained = local_engine.train(dataset, recipe, work, on_epoch=lambda _: None, log=lambda _: None)
        result["reproduced"] = trained.digest
    return result


def read_data(data: dict[str, Any], shards: Storage) -> Dataset:
    """Read and validate the data that a card names; raise InputError if it isn't available any more.

    Args:
        data: The card's entry on its data.
        shards: Where to cache the shards of a sharded source.
    """
    rules = Rules.model_validate(data["rules"])
    source = formats.load(data["source"], data["test_source"], rules)
    loaded = merger.with_files(source, data["added"], rules)
    validation, dataset = inspection.inspect(loaded, rules, profiles.embedded(), ShardCache(shards, in_threads))
    if dataset is None:
        raise InputError(validation.refusal)
    return dataset


if __name__ == "__main__":
    main()
