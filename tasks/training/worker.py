"""One of the workers that train together: its shard of each batch, and sums over all workers.

Whatever the number of workers, a batch has the same rows in the same order with the same augmentation, and its
gradient is the sum over all workers. The weights therefore don't depend on that number, except for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

GROUP = 32
"""Number of images that share an augmentation, and therefore a worker."""


class BatchShard(NamedTuple):
    """A worker's rows of a batch: from `first` up to `last`, of `n_rows`. `first` is the start of a group.

    `weight` is 1, or 0 for a worker without rows: networks can't process an empty batch, so it processes one row, whose
    loss and gradient are multiplied by 0.
    """

    first: tf.Tensor
    last: tf.Tensor
    n_rows: tf.Tensor
    weight: tf.Tensor


@dataclass(frozen=True)
class Worker:
    """A worker by its index, and the strategy that connects it to the others."""

    index: int
    n_workers: int
    strategy: tf.distribute.Strategy

    def shard(self, n_rows: tf.Tensor) -> BatchShard:
        n_groups = (n_rows + GROUP - 1) // GROUP
        first, last = (n_groups * index // self.n_workers * GROUP for index in (self.index, self.index + 1))
        has_rows = tf.less(first, last)
        return BatchShard(
            tf.where(has_rows, first, 0),
            tf.where(has_rows, tf.minimum(last, n_rows), 1),
            n_rows,
            tf.cast(has_rows, tf.float32),
        )

    def all_reduce(self, values: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """Sum values over all workers; call it inside the strategy's `run`."""
        if self.n_workers == 1:
            return values
        placed = tuple(tf.identity(value) for value in values)  # on this worker's device: a loop's results are on none
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, placed)


SINGLE_WORKER = Worker(0, 1, tf.distribute.get_strategy())
