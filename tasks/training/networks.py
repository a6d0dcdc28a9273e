"""The networks that can be trained. A third one is one more function here and its name in `schemas/recipe.py`.

Each takes 28 × 28 pixels from 0 to 255, as they are, and gives ten probabilities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import layers

from schemas.digits import CLASSES, SIDE

if TYPE_CHECKING:
    from collections.abc import Callable


def mlp() -> list[keras.Layer]:
    """Give the layers of the seed network, 784-128-64-10: 109,386 parameters."""
    return [
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(64, activation="relu"),
    ]


def cnn() -> list[keras.Layer]:
    """Give the layers of a small convolutional network: 99,898 parameters."""
    return [
        layers.Reshape((SIDE, SIDE, 1)),
        layers.Conv2D(24, 5, activation="relu", kernel_initializer="he_normal"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu", kernel_initializer="he_normal"),
        layers.MaxPooling2D(),
        layers.Conv2D(128, 3, activation="relu", kernel_initializer="he_normal"),
        layers.Flatten(),
    ]


NETWORKS: dict[str, Callable[[], list[keras.Layer]]] = {"mlp": mlp, "cnn": cnn}


def build(name: str, seed: int) -> keras.Model:
    """Build a network with weights drawn from the seed. Only layers of Keras: the saved file needs nothing of ours."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE), name="pixels"),
            layers.Rescaling(1 / 255),
            *NETWORKS[name](),
            layers.Dense(len(CLASSES), activation="softmax", name="probabilities"),
        ],
        name=name,
    )
