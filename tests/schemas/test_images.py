"""Staged images: read from their files by any numbers, in a memory that doesn't grow with what lies between them."""

import tracemalloc

import numpy as np
import pytest
from samples import pixel_file

from schemas.digits import PIXEL_COUNT
from schemas.images import NEAR, ShardedImages

ROWS = 50_000


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (ROWS, PIXEL_COUNT), np.uint8)


@pytest.fixture(scope="module")
def staged(pixels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("staged")
    files = []
    for number, piece in enumerate(np.split(pixels, [1000])):
        np.save(folder / f"{number}.npy", piece)
        files.append(pixel_file(folder / f"{number}.npy", len(piece)))
    return ShardedImages(files, np.zeros(ROWS, np.uint8), np.arange(ROWS))


@pytest.mark.parametrize(
    "wanted",
    [
        slice(900, 9000),
        slice(None, None, NEAR),
        slice(None, None, 1000),
        np.random.default_rng(1).permutation(ROWS)[:500],
        np.array([5, 5, 4, 2047, 2048, 0]),
    ],
)
def test_any_images_are_read_by_their_numbers(staged, pixels, wanted):
    np.testing.assert_array_equal(staged.read(wanted), pixels[wanted])


def test_what_lies_between_the_wanted_ones_is_not_in_memory(staged):
    tracemalloc.start()
    few = staged.read(slice(None, None, NEAR))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < few.nbytes + (8 << 20) < ROWS * PIXEL_COUNT / 2
