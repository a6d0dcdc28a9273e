"""Corruptions: each changes the images, by its seed alone, and leaves the digits legible."""

import numpy as np
import pytest
from samples import draw_digits

from tasks.scoring.corruptions import CORRUPTIONS, corrupt

PIXELS, LABELS = draw_digits(200, 0)
PIXELS = PIXELS.reshape(200, 784)


def test_all_15_corruptions_of_mnist_c_are_there():
    assert len(CORRUPTIONS) == 15


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_changes_each_image_and_keeps_its_form(name):
    corrupted = corrupt(PIXELS, name)
    assert (corrupted.shape, corrupted.dtype) == (PIXELS.shape, np.uint8)
    assert (corrupted != PIXELS).any(axis=1).all()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_seed_decides_the_corruption(name):
    assert (corrupt(PIXELS, name) == corrupt(PIXELS, name)).all()
    if name != "canny edges":  # which has nothing random
        assert (corrupt(PIXELS, name) != corrupt(PIXELS, name, seed=1)).any()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corrupted_digits_stay_more_like_their_own_kind(name):
    """Half of them are recognised by the nearest mean of the other half; guessing would be right for a tenth."""
    corrupted = corrupt(PIXELS, name)
    means = np.stack([corrupted[:100][LABELS[:100] == digit].mean(axis=0) for digit in range(10)])
    predicted = np.corrcoef(means, corrupted[100:])[:10, 10:].argmax(axis=0)
    assert (predicted == LABELS[100:]).mean() > 0.3
