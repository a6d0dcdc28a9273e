"""Load blocks as tensors; the next block is prefetched while the current one is trained on."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from schemas.images import ALIGNMENT, Images, aligned
from tasks.training.sampling import BlockSampler

Block = tuple[tf.Tensor, tf.Tensor]
"""Pixels (rows × 784, `uint8`) and labels (`int32`)."""


class BlockLoader:
    """Loads block after block inside a `with`. A single block of all rows is loaded once and cached.

    Otherwise there are two buffers: a block is valid until the next one is loaded.
    """

    def __init__(self, images: Images, sampler: BlockSampler, epochs: int) -> None:
        self.images, self.sampler = images, sampler
        self._last = sampler.n_blocks * epochs - 1
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="block-loader")
        self._prefetched: dict[int, Future[Block]] = {}
        self._only: Block | None = None
        self._buffers = [aligned(sampler.block_rows) for _ in range(2)] if sampler.n_blocks > 1 else []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._reader.shutdown(cancel_futures=True)

    def load(self, number: int) -> Block:
        """Return a block by its number since the start of training, and start to read the next one."""
        if self.sampler.n_blocks == 1:
            self._only = self._only or (_share(self.images.read(slice(None))), self._labels(slice(None)))
            return self._only
        future = self._prefetched.get(number) or self._reader.submit(self._read, number)
        block = future.result()
        self._prefetched = {number + 1: self._reader.submit(self._read, number + 1)} if number < self._last else {}
        return block

    def _read(self, number: int) -> Block:
        rows = self.sampler.row_numbers(number)
        pixels = self.images.read(rows, out=self._buffers[number % 2][: len(rows)])
        return _share(pixels), self._labels(rows)

    def _labels(self, rows: slice | NDArray[np.int64]) -> tf.Tensor:
        return tf.constant(self.images.labels[rows].astype(np.int32))


def _share(pixels: NDArray[np.uint8]) -> tf.Tensor:
    """Return pixels as a tensor that shares their memory, or as a copy where that can't be.

    TensorFlow aborts the process if shared memory isn't aligned; Ray's arrays are read-only. A copy takes as long as
    the read, and memory that the system has to clear first.
    """
    if pixels.ctypes.data % ALIGNMENT or not (pixels.flags.c_contiguous and pixels.flags.writeable):
        return tf.constant(pixels)
    return tf.experimental.dlpack.from_dlpack(pixels.__dlpack__())
