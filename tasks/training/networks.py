"""Build a registered network, from Keras layers alone: the saved file loads without this project's code."""

from __future__ import annotations

import keras
from keras import layers

from schemas.digits import CLASSES, SIDE
from schemas.networks import NETWORKS


def build(name: str, seed: int) -> keras.Model:
    """Build a network for 28 × 28 pixels from 0 to 255, with ten probabilities and initial weights from the seed."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE), name="pixels"),
            layers.Rescaling(1 / 255),
            *NETWORKS[name].layers(layers),
            layers.Dense(len(CLASSES), activation="softmax", name="probabilities"),
        ],
        name=name,
    )
