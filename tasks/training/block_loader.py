"""Load blocks as tensors: the next block is read while the current one is trained on."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import tensorflow as tf

from schemas.digits import PIXEL_COUNT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from schemas.images import Images
    from tasks.training.block_sampler import BlockSampler


ALIGNMENT = 64
"""Bytes. TensorFlow aborts the process if memory that is shared with it isn't aligned to this."""


class Block(NamedTuple):
    """Pixels (rows × 784, `uint8`) and labels (`int32`) as tensors."""

    pixels: tf.Tensor
    labels: tf.Tensor


class BlockLoader:
    """Loads block after block inside a `with`. If all rows are one block, it is loaded once and kept.

    Otherwise two buffers take turns: a block is valid until the next one is loaded.
    """

    def __init__(self, images: Images, sampler: BlockSampler, epochs: int) -> None:
        self._images, self._sampler = images, sampler
        self._last = sampler.n_blocks * epochs - 1
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="block-loader")
        self._prefetched: dict[int, Future[Block]] = {}
        self._only: Block | None = None
        self._buffers = [_aligned(sampler.block_rows) for _ in range(2)] if sampler.n_blocks > 1 else []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._reader.shutdown(cancel_futures=True)

    def load(self, number: int) -> Block:
        """Return a block, counted from the training's first one, and start to read the next."""
        if self._sampler.n_blocks == 1:
            self._only = self._only or Block(
                tf.constant(self._images.read(slice(None))), tf.constant(self._images.labels.astype(np.int32))
            )
            return self._only
        future = self._prefetched.get(number) or self._reader.submit(self._read, number)
        block = future.result()
        self._prefetched = {number + 1: self._reader.submit(self._read, number + 1)} if number < self._last else {}
        return block

    def _read(self, number: int) -> Block:
        rows = self._sampler.row_numbers(number)
        pixels = self._images.read(rows, out=self._buffers[number % 2][: len(rows)])
        # Shared, not copied: a copy takes as long as the read, and memory that the system has to clear first.
        shared = tf.experimental.dlpack.from_dlpack(pixels.__dlpack__())
        return Block(shared, tf.constant(self._images.labels[rows].astype(np.int32)))


def _aligned(n_rows: int) -> NDArray[np.uint8]:
    """Return a buffer for n rows with the alignment that TensorFlow's own tensors have."""
    raw = np.empty(n_rows * PIXEL_COUNT + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + n_rows * PIXEL_COUNT].reshape(n_rows, PIXEL_COUNT)
