"""Train on the same rows in memory and, under a bound of memory that makes several blocks, staged on disk.

An epoch of one, then one of the other, so that a drift of the machine hits both alike.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from shards import accepted

from artifacts.store.storage import FolderStorage
from schemas.images import InMemoryImages
from schemas.recipe import Overrides
from tasks.inference.start_up import import_tensorflow

if TYPE_CHECKING:
    from schemas.recipe import Recipe
    from schemas.results import Dataset


def main() -> None:
    """Train both and print as JSON the seconds of their epochs, without the first, which compiles."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="where to stage the rows, and for checkpoints")
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--blocks", type=int, default=4, help="an epoch")
    parser.add_argument("--overrides", default="{}", help="fields of the recipe `plain` that are to differ, as JSON")
    options = parser.parse_args()
    recipe = Overrides.model_validate_json(options.overrides).applied_to("plain")

    import_tensorflow()
    whole = accepted(options.shards, options.work / "shards")
    on_disk, in_memory = datasets(whole, options.rows, options.blocks, recipe.batch_size)
    work = FolderStorage(options.work)
    with ExitStack() as stack:
        memory = Contestant(stack, in_memory, recipe, work.child("memory"))
        blocks = Contestant(stack, on_disk, recipe, work.child("blocks"))
        for _ in range(recipe.epochs):
            memory.run_epoch()
            blocks.run_epoch()
    measured = {
        "rows": len(on_disk.train),
        "blocks": blocks.plan.blocks,
        "memory_seconds": memory.seconds[1:],
        "block_seconds": blocks.seconds[1:],
    }
    print(json.dumps(measured))


def datasets(whole: Dataset, rows: int, blocks: int, batch: int) -> tuple[Dataset, Dataset]:
    """Give the first rows as they are staged, with memory for so many blocks, and in memory."""
    from tasks.sharding.memory import KEPT_BYTES, TAKEN
    from tasks.training.block_sampler import ROW_BYTES, SHARE

    staged = whole.train.take(np.arange(min(rows, len(whole.train))))
    block_rows = math.ceil(len(staged) / blocks / batch) * batch
    needed = len(staged) * KEPT_BYTES + block_rows * SHARE * ROW_BYTES
    on_disk = dataclasses.replace(whole, train=staged, memory=TAKEN + math.ceil(needed / 2**20))
    pixels = InMemoryImages(staged.read(slice(None)), staged.labels)
    return on_disk, dataclasses.replace(whole, train=pixels, memory=None)


class Contestant:
    """A training under way, and what its epochs took, the saving of a checkpoint after each block included."""

    def __init__(self, stack: ExitStack, dataset: Dataset, recipe: Recipe, work: FolderStorage) -> None:
        """Build it; the stack ends its reading ahead."""
        from tasks.training.engine import split

        from tasks.training.block_loader import BlockLoader
        from tasks.training.block_sampler import plan
        from tasks.training.trainer import Trainer

        images, held_out = split(dataset, recipe)
        self.plan = plan(dataset, len(images), recipe)
        self.seconds: list[float] = []
        feed = stack.enter_context(BlockLoader(images, self.plan, recipe.epochs))
        self._session = Trainer(images.labels, self.plan, feed, held_out, recipe)
        self._work = work

    def run_epoch(self) -> None:
        """Train an epoch."""
        from tasks.training import checkpoints

        started = time.perf_counter()
        done = None
        while done is None:
            done = self._session.run_block()
            checkpoints.save(self._work, self._session.state())
        self.seconds.append(time.perf_counter() - started)


if __name__ == "__main__":
    main()
