"""Which pixels a network's answer depends on."""

import keras
import numpy as np
import pytest

from schemas.images import InMemoryImages
from schemas.results import Mistake
from tasks.inference import saliency


@pytest.fixture(scope="module")
def network():
    """Return a network that answers 3 if row 5 is bright, and 8 if row 20 is; nothing else counts."""
    weights = np.zeros((28, 28, 10), np.float32)
    weights[5, :, 3] = weights[20, :, 8] = 1e-3
    answer = keras.layers.Dense(10, activation="softmax", use_bias=False)
    hidden = keras.layers.Dense(10, activation="relu", bias_initializer=keras.initializers.Constant(-0.5))
    network = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), hidden, answer])
    hidden.kernel.assign(weights.reshape(784, 10))
    answer.kernel.assign(np.eye(10))
    return network


def test_pixels_that_decide_are_the_salient_ones(network):
    pixels = np.full((1, 784), 100, np.uint8)
    pixels.reshape(28, 28)[5] = 250
    (found,) = saliency.of_mistakes(network, [Mistake(0, 8, 3, 0.9)], InMemoryImages(pixels, np.array([8], np.uint8)))
    assert (found[5] > 0).all()  # speaks for the predicted 3
    assert (found[20] < 0).all()  # speaks for the true 8
    others = np.delete(found, (5, 20), axis=0)
    assert np.abs(others).max() < 1e-6


def test_pixels_add_up_to_the_log_odds(network):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 784), np.uint8)
    answers, others = np.array([3, 8, 3]), np.array([8, 3, 1])
    mistakes = [Mistake(row, others[row], answers[row], 0.9) for row in range(3)]
    found = saliency.of_mistakes(network, mistakes, InMemoryImages(pixels, others)).sum(axis=(1, 2))
    logs = np.log(network(pixels.reshape(-1, 28, 28).astype(np.float32)).numpy())
    rows = np.arange(3)
    np.testing.assert_allclose(found, logs[rows, answers] - logs[rows, others], atol=0.2)  # of 16 steps
