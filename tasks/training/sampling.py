"""Select rows: those held out for validation, and those of each block, which is all rows or a sample that fits memory.

Shards are often sorted by label, so a block can't be consecutive rows. An epoch's rows are divided into chunks of 64
neighbours, each of which is a single read. The chunks are shuffled across all shards and assigned to blocks; the
compiled training step shuffles the rows of a block. A block of 300,000 rows has about 5,000 chunks, so that a class
with a tenth of the data has a tenth of each block, within about 4 % of that.
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
"""Enough to measure the held-out accuracy to 0.1 percentage points, and few enough to keep in memory."""
CHUNK = 64
MEMORY_DIVISOR = 4
"""Memory for blocks divided by the size of one: two buffers, plus headroom for the allocators."""
IMAGE_BYTES = 784
CORRECTION_REPEATS = 4
"""Times that an epoch has each image that a correction added: once, it is lost among the other rows.

`benchmarks/RECIPES.md` has other numbers, `benchmarks/review.md` the gain.
"""
MIN_BATCHES = 2
"""Minimum number of batches of a block: after each block, a checkpoint is saved."""


def split(dataset: Dataset, recipe: Recipe) -> tuple[Images, Images]:
    """Return the images of an epoch and the held-out ones, stratified by label and drawn by the recipe's seed.

    Images that corrections added are in the epoch `CORRECTION_REPEATS` times.
    """
    from sklearn.model_selection import train_test_split

    images, labels = dataset.train, dataset.train.labels
    rows = np.arange(len(labels))
    fraction = recipe.validation_fraction
    if fraction == 0:
        return images.take(_repeat_corrections(dataset, rows)), images.take(rows[:0])
    size = fraction if fraction * len(labels) < MAX_HELD_OUT else MAX_HELD_OUT
    try:
        train, held_out = train_test_split(rows, test_size=size, stratify=labels, random_state=recipe.seed)
    except ValueError as error:
        raise InputError(
            f"{dataset.name}: {len(labels)} training rows can't be split by a validation fraction of {fraction} with "
            f"every class in both parts; --validation-fraction 0 holds out none ({error})"
        ) from error
    train.sort()
    return images.take(_repeat_corrections(dataset, train)), images.take(held_out)


def _repeat_corrections(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    added = np.array(dataset.validation.added_digests, np.uint64)
    if not len(added):
        return rows
    return np.repeat(rows, np.where(np.isin(dataset.train_digests[rows], added), CORRECTION_REPEATS, 1))


class BlockSampler(NamedTuple):
    """Assigns n rows to the blocks of each epoch; all randomness comes from the seed and the epoch."""

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
    n_fitting = (((dataset.memory - RESERVED_MIB) << 20) - n_rows * BYTES_PER_ROW) // MEMORY_DIVISOR // IMAGE_BYTES
    return n_fitting // recipe.batch_size * recipe.batch_size if n_fitting < n_rows else None
