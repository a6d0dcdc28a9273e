"""Score a version anew, in a process of its own: `python -m tasks.verification.rescore FOLDER [--reproduce]`.

Prints, as JSON, the figures that its card should have, or what keeps them from being had.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifacts.reports.card import figures
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
    """Print what was found; the exit code is 0 even if that is a fault."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reproduce", action="store_true")
    options = parser.parse_args()
    import_tensorflow()
    try:
        found = rescore(options.folder, reproduce=options.reproduce)
    except (InputError, TrainingError) as error:
        found = {"fault": str(error)}
    json.dump(found, sys.stdout)


def rescore(folder: Path, *, reproduce: bool) -> dict[str, Any]:
    """Read the card's data, load its model, score it; train its recipe anew if that is asked for.

    Shards are staged anew, in the folder for temporary files: what the store has staged proves nothing.
    """
    with tempfile.TemporaryDirectory(prefix="rescore-") as work:
        return _found(folder, FolderStorage(Path(work)), reproduce=reproduce)


def _found(folder: Path, work: Storage, *, reproduce: bool) -> dict[str, Any]:
    from tasks.inference import model
    from tasks.scoring import abstention, metrics
    from tasks.training import held_out, job, local_engine

    card = json.loads((folder / CARD).read_text())
    dataset = data_of(card, work.child("shards"))
    network = model.load_network(folder / MODEL)
    recipe = Recipe.model_validate(card["recipe"])
    _, images = held_out.split(dataset, recipe)
    least = abstention.threshold(model.predict_images(network, images), images.labels)
    judged = metrics.evaluation(dataset.test, model.predict_images(network, dataset.test), least)
    found: dict[str, Any] = {
        "figures": figures(judged),
        "abstention": dataclasses.asdict(judged.abstention),
        "data": dataset.fingerprint,
        "weights": job.weights_digest(network),
    }
    if reproduce:
        if (workers := card["environment"].get("workers", 1)) > 1:
            raise InputError(f"{workers} workers trained it together, and one alone rounds their sums otherwise")
        trained = local_engine.train(dataset, recipe, work, on_epoch=lambda _: None, log=lambda _: None)
        found["reproduced"] = trained.digest
    return found


def data_of(card: dict[str, Any], shards: Storage) -> Dataset:
    """Read and validate the data that a card names; raise InputError when it can't be had any more.

    Its shards, if it has any, are staged at a place.
    """
    data = card["data"]
    rules = Rules.model_validate(data["rules"])
    source = formats.load(data["source"], data["test_source"], rules)
    loaded = merger.with_files(source, data["added"], rules)
    found, dataset = inspection.inspect(loaded, rules, profiles.embedded(), ShardCache(shards, in_threads))
    if dataset is None:
        raise InputError(found.refusal)
    return dataset


if __name__ == "__main__":
    main()
