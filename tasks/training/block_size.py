"""Choose how many rows a block has, by the memory that the training may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.sharding.memory import KEPT_BYTES, TAKEN, check_memory
from tasks.training.block_sampler import BlockSampler

if TYPE_CHECKING:
    from schemas.recipe import Recipe
    from schemas.results import Dataset

SHARE = 4
"""A block takes a quarter of the free memory, the next one, read meanwhile, another; allocators waste some."""
ROW_BYTES = 784
MIN_BATCHES = 2
"""Batches that a block has at least: after each block a checkpoint is saved and the chunks are drawn again."""


def block_sampler(dataset: Dataset, n_rows: int, recipe: Recipe) -> BlockSampler:
    """Return the sampler for a training on n rows of a dataset."""
    return BlockSampler(n_rows, block_rows(dataset, recipe) or max(n_rows, 1), recipe.seed)


def block_rows(dataset: Dataset, recipe: Recipe) -> int | None:
    """Return the rows of a block, a multiple of the batch size; None if all rows fit into one block.

    Raises:
        InputError: the dataset's memory isn't enough for the labels of all rows and one block.

    """
    if dataset.memory is None:
        return None
    n_rows = len(dataset.train)
    check_memory(dataset.memory, n_rows, min(MIN_BATCHES * recipe.batch_size, n_rows) * SHARE * ROW_BYTES)
    fitting = (((dataset.memory - TAKEN) << 20) - n_rows * KEPT_BYTES) // SHARE // ROW_BYTES
    return fitting // recipe.batch_size * recipe.batch_size if fitting < n_rows else None
