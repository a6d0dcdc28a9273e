"""Feed a training its blocks as tensors: the next one is read while the current one is trained on."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from schemas.images import Images
    from tasks.training.plan import Plan


class Block(NamedTuple):
    """Pixels (rows × 784, `uint8`) and labels (`int32`) as TensorFlow takes them."""

    pixels: tf.Tensor
    labels: tf.Tensor


class Feed:
    """Gives block after block inside a `with`. Where all rows are one block, it is made once and kept."""

    def __init__(self, images: Images, plan: Plan) -> None:
        """Begin with nothing read."""
        self._images, self._plan = images, plan
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed")
        self._ahead: tuple[int, Future[tuple[NDArray[np.uint8], NDArray[np.int32]]]] | None = None
        self._only: Block | None = None

    def __enter__(self) -> Self:
        """Do nothing: the first block may be any one."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End the reading ahead."""
        self._reader.shutdown(cancel_futures=True)

    def block(self, number: int) -> Block:
        """Give a block, counted from the training's first one, and begin to read the one after it."""
        if self._plan.blocks == 1:
            self._only = self._only or Block(
                tf.constant(self._images.rows(slice(None))), tf.constant(self._images.labels.astype(np.int32))
            )
            return self._only
        if self._ahead is None or self._ahead[0] != number:
            self._ahead = (number, self._reader.submit(self._read, number))
        pixels, labels = self._ahead[1].result()
        self._ahead = None  # the future would keep its arrays
        block = Block(tf.constant(pixels), tf.constant(labels))
        self._ahead = (number + 1, self._reader.submit(self._read, number + 1))
        return block

    def _read(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        rows = self._plan.block(number)
        return self._images.rows(rows), self._images.labels[rows].astype(np.int32)
