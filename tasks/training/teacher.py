"""Distillation: a trained network labels the images of another training, each as it was deformed for that step.

After Hinton, Vinyals and Dean 2015: both networks' predictions are softened by a temperature, which shows how similar
the teacher finds the other digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from schemas.recipe import Recipe
from schemas.training import Precision
from tasks.training.networks import build_network, hidden_layers_in

TEMPERATURE = 3.0
TRUE_SHARE = 0.3  # the true labels' share of the loss
TINY = 1e-30  # a probability may be 0


class Teacher(NamedTuple):
    """A trained network that labels the images of another training. Picklable."""

    recipe: Recipe
    weights: Sequence[NDArray[np.float32]]
    precision: Precision

    def predictor(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Return a function from images (rows × 28 × 28, from 0 to 255) to probabilities."""
        network = build_network(self.recipe)
        network.set_weights(self.weights)

        def predict(images: tf.Tensor) -> tf.Tensor:
            with hidden_layers_in(network, self.precision):
                return network(images, training=False)

        return predict


def distillation_loss(of_teacher: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """Return the divergence of softened probabilities from the teacher's, summed over rows.

    The square of the temperature makes up for the smaller gradients of softened probabilities.
    """
    expected, actual = _soften(of_teacher), _soften(probabilities)
    return TEMPERATURE**2 * tf.reduce_sum(tf.exp(expected) * (expected - actual))


def _soften(probabilities: tf.Tensor) -> tf.Tensor:
    """Return the logarithms of the probabilities that a softmax would have given at the temperature."""
    return tf.nn.log_softmax(tf.math.log(probabilities + TINY) / TEMPERATURE)
