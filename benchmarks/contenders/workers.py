"""Train on the same staged rows in this process alone, by one Ray worker, by two that share each batch, and so on."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from shards import accepted

from artifacts.store.storage import FolderStorage
from schemas.compute import Compute
from schemas.recipe import PRESETS, Overrides
from tasks.inference.start_up import import_tensorflow
from tasks.orchestration.ray_cluster import cluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.recipe import Recipe
    from schemas.results import Dataset, TrainingResult


def main() -> None:
    """Print as JSON, by the number of workers (0 is this process), what each training took and came to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="where to stage the rows, and for checkpoints")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--recipe", choices=PRESETS, required=True)
    parser.add_argument("--most", type=int, default=2, help="Ray workers (default 2)")
    parser.add_argument("--overrides", default="{}", help="fields of the recipe that are to differ, as JSON")
    options = parser.parse_args()
    recipe = Overrides.model_validate_json(options.overrides).applied_to(options.recipe)

    import_tensorflow()
    dataset = first_rows(accepted(options.shards, options.work / "shards"), options.rows)
    from tasks.training import engine, ray_engine

    measured = {0: timed(engine.train, dataset, recipe, options.work / "alone")}
    with cluster(Compute(engine="ray", workers=options.most)):
        for workers in range(1, options.most + 1):
            work = options.work / f"by-{workers}"
            measured[workers] = timed(partial(ray_engine.train, workers=workers), dataset, recipe, work)
    told = {"rows": len(dataset.train), "read_seconds": read_seconds(dataset), "by_workers": measured}
    print(json.dumps(told))


def first_rows(dataset: Dataset, rows: int) -> Dataset:
    """Give a dataset with no more training rows than so many."""
    return dataclasses.replace(dataset, train=dataset.train.take(np.arange(min(rows, len(dataset.train)))))


def read_seconds(dataset: Dataset) -> float:
    """Give the seconds a row that a block takes to read, of four that an epoch has, as each worker reads it."""
    from tasks.training.block_sampler import BlockSampler

    rows = len(dataset.train)
    block = BlockSampler(rows, -(-rows // 4), seed=0).block(0)
    started = time.perf_counter()
    dataset.train.read(block)
    return (time.perf_counter() - started) / len(block)


def timed(train: Callable[..., TrainingResult], dataset: Dataset, recipe: Recipe, work: Path) -> dict[str, Any]:
    """Train, and give the seconds of each epoch, those of all from the call to the return, and the test accuracy."""
    started = time.perf_counter()
    trained = train(dataset, recipe, FolderStorage(work), lambda _: None, lambda _: None)
    seconds = time.perf_counter() - started
    from tasks.inference.model import answers

    right = answers(trained.network, dataset.test).argmax(axis=1) == dataset.test.labels
    return {
        "epoch_seconds": [record.seconds for record in trained.history],
        "seconds": seconds,
        "accuracy": float(right.mean()),
    }


if __name__ == "__main__":
    main()
