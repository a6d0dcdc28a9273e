"""Images in files: read by any row numbers, in a memory that doesn't grow with what lies between them."""

import tracemalloc

import numpy as np
import pytest
from samples import pixel_file

from schemas.digits import PIXEL_COUNT
from tasks.sharding.images import MAX_GAP, ShardedImages

ROWS = 50_000


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (ROWS, PIXEL_COUNT), np.uint8)


@pytest.fixture(scope="module")
def images(pixels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    files = []
    for number, piece in enumerate(np.split(pixels, [1000])):
        np.save(folder / f"{number}.npy", piece)
        files.append(pixel_file(folder / f"{number}.npy", len(piece)))
    return ShardedImages(files, np.zeros(ROWS, np.uint8), np.arange(ROWS))


@pytest.mark.parametrize(
    "indices",
    [
        slice(900, 9000),
        slice(None, None, MAX_GAP),
        slice(None, None, 1000),
        np.random.default_rng(1).permutation(ROWS)[:500],
        np.array([5, 5, 4, 2047, 2048, 0]),
    ],
)
def test_sharded_images_are_read_by_any_row_numbers(images, pixels, indices):
    np.testing.assert_array_equal(images.read(indices), pixels[indices])


def test_rows_between_those_read_are_not_kept_in_memory(images):
    tracemalloc.start()
    few = images.read(slice(None, None, MAX_GAP))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < few.nbytes + (8 << 20) < ROWS * PIXEL_COUNT / 2
