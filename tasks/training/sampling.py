"""Choose rows: those held out for validation, and those of each block, all or a sample that fits memory.

Shards are often sorted by label, so a block isn't a stretch of the data. An epoch's rows are cut into chunks of 64
neighbours, which one read fetches. The chunks are shuffled over all shards and dealt to the blocks, and the compiled
training shuffles the rows of a block. A block of 300,000 rows has about 5,000 chunks: a class with a tenth of the data
has a tenth of every block, within about 4 % of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.errors import InputError
from schemas.images import Images
from schemas.recipe import Recipe
from tasks.sharding.memory import BYTES_PER_ROW, RESERVED_MIB, check_memory

if TYPE_CHECKING:  # the fingerprint would cover it
    from schemas.results import Dataset

MAX_HELD_OUT = 50_000
"""Enough to know the held-out accuracy to a tenth of a point, and few enough for memory."""
CHUNK = 64
MEMORY_DIVISOR = 4
"""A block takes a quarter of the free memory, the next one, read meanwhile, another; allocators waste some."""
IMAGE_BYTES = 784
MIN_BATCHES = 2
"""Batches that a block has at least: after each block a checkpoint is saved and the chunks are drawn again."""


def split(dataset: Dataset, recipe: Recipe) -> tuple[Images, Images]:
    """Return the images to train on and the held-out ones, stratified by label and drawn by the recipe's seed."""
    from sklearn.model_selection import train_test_split

    images, labels = dataset.train, dataset.train.labels
    rows = np.arange(len(labels))
    fraction = recipe.validation_fraction
    if fraction == 0:
        return images, images.take(rows[:0])
    size = fraction if fraction * len(labels) < MAX_HELD_OUT else MAX_HELD_OUT
    try:
        train, held_out = train_test_split(rows, test_size=size, stratify=labels, random_state=recipe.seed)
    except ValueError as error:
        raise InputError(
            f"{dataset.name}: {len(labels)} training rows can't be split by a validation fraction of {fraction} with "
            f"every class in both parts; --validation-fraction 0 holds out none ({error})"
        ) from error
    train.sort()
    return images.take(train), images.take(held_out)


class BlockSampler(NamedTuple):
    """Deals n rows to the blocks of each epoch; all randomness comes from the seed and the epoch."""

    n_rows: int
    block_rows: int
    seed: int

    @property
    def n_blocks(self) -> int:
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


def block_sampler(dataset: Dataset, n_rows: int, recipe: Recipe) -> BlockSampler:
    """Return the sampler for a training on n rows of a dataset."""
    return BlockSampler(n_rows, block_rows(dataset, recipe) or max(n_rows, 1), recipe.seed)


def block_rows(dataset: Dataset, recipe: Recipe) -> int | None:
    """Return the rows of a block, a multiple of the batch size; None if all rows fit into one block.

    Raises InputError if the dataset's memory isn't enough for the labels of all rows and one block.
    """
    if dataset.memory is None:
        return None
    n_rows = len(dataset.train)
    check_memory(dataset.memory, n_rows, min(MIN_BATCHES * recipe.batch_size, n_rows) * MEMORY_DIVISOR * IMAGE_BYTES)
    fitting = (((dataset.memory - RESERVED_MIB) << 20) - n_rows * BYTES_PER_ROW) // MEMORY_DIVISOR // IMAGE_BYTES
    return fitting // recipe.batch_size * recipe.batch_size if fitting < n_rows else None
