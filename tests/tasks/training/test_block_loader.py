"""Loading blocks: what TensorFlow shares with NumPy, and what it can't share."""

import gc

import numpy as np
import pytest

from schemas.images import InMemoryImages, aligned
from tasks.training.block_loader import BlockLoader
from tasks.training.sampling import BlockSampler

N_ROWS = 50


def filled(pixels):
    pixels[:] = np.arange(pixels.size, dtype=np.uint32).reshape(pixels.shape) % 251
    return pixels


def read_only(pixels):
    pixels.flags.writeable = False
    return pixels


ARRAYS = {
    "aligned": lambda: filled(aligned(N_ROWS)),
    "read-only, as Ray's": lambda: read_only(filled(aligned(N_ROWS))),
    "not aligned": lambda: filled(aligned(N_ROWS + 1).ravel()[1 : 1 + N_ROWS * 784].reshape(N_ROWS, 784)),
    "part of a wider table": lambda: filled(np.empty((N_ROWS, 785), np.uint8)[:, 1:]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_block_has_the_images_whatever_memory_they_are_in(name):
    pixels = ARRAYS[name]()
    expected = pixels.copy()
    loader = BlockLoader(InMemoryImages(pixels, np.zeros(N_ROWS, np.uint8)), BlockSampler(N_ROWS, N_ROWS, 0), 1)
    with loader:
        tensor, _ = loader.load(0)
    del loader, pixels
    gc.collect()
    assert np.array_equal(tensor.numpy(), expected)
