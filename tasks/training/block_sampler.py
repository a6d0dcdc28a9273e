"""Which rows each block of a training has: all of them, or as many as memory allows, drawn from everywhere.

Labels may be sorted by shard, and often are, so a block isn't a stretch of the data. An epoch's rows are cut into
chunks of 64 neighbours, which one read brings; the chunks are shuffled over all shards and dealt to the blocks; the
compiled training then shuffles the rows of a block. A block of 300,000 rows has 5,000 chunks: a class that is a tenth
of the data is a tenth of every block, give or take a twenty-fifth of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tasks.sharding.memory import KEPT_BYTES, TAKEN, check_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from schemas.recipe import Recipe
    from schemas.results import Dataset

CHUNK = 64
"""Rows that are read, and dealt to a block, together."""
SHARE = 4
"""Of the rest a block takes a quarter, the next one that is being read another: the allocators waste some."""
ROW_BYTES = 784
LEAST_BATCHES = 2
"""Batches that a block has at least: a checkpoint is saved after each, and the order of all chunks drawn anew."""


class BlockSampler(NamedTuple):
    """How so many rows are dealt to blocks; all that is random comes from the seed and the epoch.

    A block's rows are a multiple of the batch size, but for an epoch's last one.
    """

    n_rows: int
    block_rows: int
    seed: int

    @property
    def blocks(self) -> int:
        """Count the blocks of an epoch."""
        return -(-self.n_rows // self.block_rows)

    def block(self, number: int) -> NDArray[np.int64]:
        """Give the rows of a block, ascending; blocks are counted from the training's first one."""
        epoch, within = divmod(number, self.blocks)
        if self.blocks == 1:
            return np.arange(self.n_rows)
        chunks = -(-self.n_rows // CHUNK)
        order = np.random.default_rng([self.seed, epoch]).permutation(chunks)
        lengths = np.where(order == chunks - 1, self.n_rows - (chunks - 1) * CHUNK, CHUNK)
        ends = np.cumsum(lengths)
        start, stop = within * self.block_rows, min((within + 1) * self.block_rows, self.n_rows)
        first, last = np.searchsorted(ends, (start, stop - 1), side="right")
        rows = (order[first : last + 1, None] * CHUNK + np.arange(CHUNK)).ravel()
        skipped = start - (ends[first] - lengths[first])
        return np.sort(rows[rows < self.n_rows][skipped : skipped + stop - start])


def plan(dataset: Dataset, rows: int, recipe: Recipe) -> BlockSampler:
    """Plan the training on so many rows of a dataset."""
    return BlockSampler(rows, block_rows(dataset, recipe) or max(rows, 1), recipe.seed)


def block_rows(dataset: Dataset, recipe: Recipe) -> int | None:
    """Give the rows of a block; None where all are one block: those in memory, and staged ones that are few enough.

    Raises InputError when the dataset's memory isn't enough for what is kept of every row and a block.
    """
    if dataset.memory is None:
        return None
    count = len(dataset.train)
    check_memory(dataset.memory, count, min(LEAST_BATCHES * recipe.batch_size, count) * SHARE * ROW_BYTES)
    fitting = (((dataset.memory - TAKEN) << 20) - count * KEPT_BYTES) // SHARE // ROW_BYTES
    return fitting // recipe.batch_size * recipe.batch_size if fitting < count else None
