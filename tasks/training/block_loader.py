"""Feed a training its blocks as tensors: the next one is read while the current one is trained on."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import tensorflow as tf

from schemas.digits import PIXEL_COUNT

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from schemas.images import Images
    from tasks.training.block_sampler import BlockSampler


ALIGNMENT = 64
"""Bytes; TensorFlow ends the process where memory that is shared with it begins elsewhere."""


class Block(NamedTuple):
    """Pixels (rows × 784, `uint8`) and labels (`int32`) as TensorFlow takes them."""

    pixels: tf.Tensor
    labels: tf.Tensor


class BlockLoader:
    """Gives block after block inside a `with`. Where all rows are one block, it is made once and kept.

    Else two buffers take turns: a block is there until the next one is asked for.
    """

    def __init__(self, images: Images, plan: BlockSampler, epochs: int) -> None:
        """Begin with nothing read."""
        self._images, self._plan = images, plan
        self._last = plan.blocks * epochs - 1
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed")
        self._ahead: tuple[int, Future[Block]] | None = None
        self._only: Block | None = None
        self._buffers = [_aligned(plan.block_rows) for _ in range(2)] if plan.blocks > 1 else []

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
                tf.constant(self._images.read(slice(None))), tf.constant(self._images.labels.astype(np.int32))
            )
            return self._only
        if self._ahead is None or self._ahead[0] != number:
            self._ahead = (number, self._reader.submit(self._read, number))
        block = self._ahead[1].result()
        self._ahead = (number + 1, self._reader.submit(self._read, number + 1)) if number < self._last else None
        return block

    def _read(self, number: int) -> Block:
        rows = self._plan.block(number)
        pixels = self._images.read(rows, out=self._buffers[number % 2][: len(rows)])
        # Not copied: that would take as long as the reading, and memory that the system has to clear first.
        shared = tf.experimental.dlpack.from_dlpack(pixels.__dlpack__())
        return Block(shared, tf.constant(self._images.labels[rows].astype(np.int32)))


def _aligned(rows: int) -> NDArray[np.uint8]:
    """Make a buffer of so many rows that begins where TensorFlow's own tensors may."""
    raw = np.empty(rows * PIXEL_COUNT + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + rows * PIXEL_COUNT].reshape(rows, PIXEL_COUNT)
