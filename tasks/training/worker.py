"""One of the workers that train together: which images of each batch are its own, and how sums are made.

However many share it, a batch has the same rows in the same order, deformed alike, and its gradient is the sum over
them all: what is learned doesn't depend on their number, but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")
GROUP = 32
"""Images that share a deformation, and thus a worker."""


class BatchShard(NamedTuple):
    """The rows of a batch from `first` up to `last`, of `n_rows` in all; `first` is the first one of a group.

    `weight` is 1, or 0 where a worker has nothing to do: networks can't take no images, so it has one for nothing.
    """

    first: tf.Tensor
    last: tf.Tensor
    n_rows: tf.Tensor
    weight: tf.Tensor


@dataclass(frozen=True)
class Worker:
    """A worker: its number among `count`, and the strategy by which it reaches the others."""

    rank: int
    count: int
    strategy: tf.distribute.Strategy

    def portion(self, rows: tf.Tensor) -> BatchShard:
        """Give this worker's portion of a batch of so many rows."""
        groups = (rows + GROUP - 1) // GROUP
        first, last = (groups * rank // self.count * GROUP for rank in (self.rank, self.rank + 1))
        busy = tf.less(first, last)
        return BatchShard(
            tf.where(busy, first, 0), tf.where(busy, tf.minimum(last, rows), 1), rows, tf.cast(busy, tf.float32)
        )

    def summed(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        """Add values up over all workers; inside what `run` runs."""
        if self.count == 1:
            return values
        here = [tf.identity(value) for value in values]  # on this worker's device: what a loop gave is on none
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)

    def run(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Run a function together with the other workers, inside a graph: loops are to be around it, not in it."""
        return self.strategy.run(function, arguments)


SINGLE_WORKER = Worker(0, 1, tf.distribute.get_strategy())
"""The only worker, as in a training on one machine."""
