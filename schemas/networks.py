"""The networks that can be trained: each is one function that returns its layers.

To add a network, add a decorated function here; where it needs other values than those for all networks, also a table
of its name in the files of schemas/recipes. Everything else follows: `--network` and its help, the error for an unknown
name, the tables in the manual (`make docs`). Nothing here imports Keras.

The training fingerprint covers this module: after any change of its code, the next run trains, even on unchanged data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas.digits import SIDE

Layers = Callable[[Any], list[Any]]


@dataclass(frozen=True)
class Network:
    """A network that can be trained."""

    description: str
    layers: Layers
    trains_in_bfloat16: bool
    """Whether training multiplies `bfloat16` numbers on a processor that has them."""


NETWORKS: dict[str, Network] = {}


def network(description: str, *, trains_in_bfloat16: bool = False) -> Callable[[Layers], Layers]:
    """Register the decorated function as a network under its own name.

    The function is called with the module `keras.layers`. It returns the layers between the input, 28 × 28 pixels
    scaled to 0 to 1, and the softmax over the ten classes.
    """

    def register(layers: Layers) -> Layers:
        NETWORKS[layers.__name__] = Network(description, layers, trains_in_bfloat16)
        return layers

    return register


@network("784-128-64-10, 109,386 parameters")
def mlp(layers: Any) -> list[Any]:  # noqa: ANN401, a module
    """Return the layers of the original project's network."""
    return [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(64, activation="relu")]


@network("convolutional, 99,898 parameters", trains_in_bfloat16=True)
def cnn(layers: Any) -> list[Any]:  # noqa: ANN401, a module
    """Return the layers of a small convolutional network."""
    return [
        layers.Reshape((SIDE, SIDE, 1)),
        layers.Conv2D(24, 5, activation="relu", kernel_initializer="he_normal"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu", kernel_initializer="he_normal"),
        layers.MaxPooling2D(),
        layers.Conv2D(128, 3, activation="relu", kernel_initializer="he_normal"),
        layers.Flatten(),
    ]
