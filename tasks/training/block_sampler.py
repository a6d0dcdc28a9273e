"""Choose the rows of each block: all of them, or a sample from everywhere in the data that fits memory.

Shards are often sorted by label, so a block isn't a stretch of the data. An epoch's rows are cut into chunks of 64
neighbours, which one read fetches. The chunks are shuffled over all shards and dealt to the blocks, and the compiled
training shuffles the rows of a block. A block of 300,000 rows has about 5,000 chunks: a class with a tenth of the data
has a tenth of every block, within about 4 % of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 64
"""Rows that are read, and dealt to a block, together."""


class BlockSampler(NamedTuple):
    """Deals n rows to blocks of an epoch; all randomness comes from the seed and the epoch."""

    n_rows: int
    block_rows: int
    seed: int

    @property
    def n_blocks(self) -> int:
        """Blocks per epoch."""
        return -(-self.n_rows // self.block_rows)

    def row_numbers(self, block: int) -> NDArray[np.int64]:
        """Return the rows of a block, ascending; blocks are counted from the training's first one."""
        epoch, block_of_epoch = divmod(block, self.n_blocks)
        if self.n_blocks == 1:
            return np.arange(self.n_rows)
        n_chunks = -(-self.n_rows // CHUNK)
        order = np.random.default_rng([self.seed, epoch]).permutation(n_chunks)
        lengths = np.where(order == n_chunks - 1, self.n_rows - (n_chunks - 1) * CHUNK, CHUNK)
        ends = np.cumsum(lengths)
        start, stop = block_of_epoch * self.block_rows, min((block_of_epoch + 1) * self.block_rows, self.n_rows)
        first, last = np.searchsorted(ends, (start, stop - 1), side="right")
        rows = (order[first : last + 1, None] * CHUNK + np.arange(CHUNK)).ravel()
        n_skipped = start - (ends[first] - lengths[first])
        return np.sort(rows[rows < self.n_rows][n_skipped : n_skipped + stop - start])
