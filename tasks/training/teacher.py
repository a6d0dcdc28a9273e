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

TEMPERATURE = 4.0
TINY = 1e-30  # a probability may be 0


class Teacher(NamedTuple):
    """A trained network that labels the images of another training. Picklable."""

    recipe: Recipe
    weights: Sequence[NDArray[np.float32]]
    precision: Precision

    def labeller(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Return a function from images (rows × 28 × 28, from 0 to 255) to softened probabilities."""
        network = build_network(self.recipe)
        network.set_weights(self.weights)

        def label(images: tf.Tensor) -> tf.Tensor:
            with hidden_layers_in(network, self.precision):
                return soften(network(images, training=False))

        return label


def soften(probabilities: tf.Tensor) -> tf.Tensor:
    """Return the probabilities that a softmax would have given at the temperature."""
    return tf.nn.softmax(tf.math.log(probabilities + TINY) / TEMPERATURE)
