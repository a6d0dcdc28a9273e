"""The networks that can be trained: each is one function that returns its layers, with its presets beside it.

To add a network, add a decorated function here. Everything else follows from it: `--network` and its help, the error
for an unknown name, the tables in the manual (`make docs`). Nothing here imports Keras.

The training fingerprint covers this module: after any change of its code, the next run trains, even on unchanged data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas.digits import SIDE

Layers = Callable[[Any], list[Any]]
PLAIN: dict[str, Any] = {}
"""The recipe's defaults, as in the original project. `benchmarks/RECIPES.md` explains the other presets."""
FAST = {
    "epochs": 14,
    "batch_size": 1024,
    "optimizer": "muon",
    "learning_rate": 0.014,
    "schedule": "cosine",
    "warmup": 0.3,
    "label_smoothing": 0.02,
    "rotation": 8,
    "scaling": 0.07,
    "shear": 0.07,
    "shift": 0.7,
    "elastic": 0.6,
}
BEST = FAST | {
    "epochs": 100,
    "warmup": 0.15,
    "rotation": 9,
    "scaling": 0.08,
    "shear": 0.09,
    "shift": 0.9,
    "elastic": 0.7,
}
CNN = {
    "batch_size": 256,
    "optimizer": "adam",
    "learning_rate": 0.006,
    "warmup": 0.15,
    "weight_decay": 0.05,
    "label_smoothing": 0,
    "shift": 0.5,
}


@dataclass(frozen=True)
class Network:
    """A network that can be trained; its presets hold the fields that differ from the recipe's defaults."""

    description: str
    layers: Layers
    presets: dict[str, dict[str, Any]]


NETWORKS: dict[str, Network] = {}


def network(
    description: str, *, plain: dict[str, Any], fast: dict[str, Any], best: dict[str, Any]
) -> Callable[[Layers], Layers]:
    """Register the decorated function as a network under its own name.

    The function is called with the module `keras.layers`. It returns the layers between the input, 28 × 28 pixels
    scaled to 0 to 1, and the softmax over the ten classes.
    """

    def register(layers: Layers) -> Layers:
        NETWORKS[layers.__name__] = Network(description, layers, {"plain": plain, "fast": fast, "best": best})
        return layers

    return register


@network("784-128-64-10, 109,386 parameters", plain=PLAIN, fast=FAST, best=BEST)
def mlp(layers: Any) -> list[Any]:  # noqa: ANN401, a module
    """Return the layers of the original project's network."""
    return [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(64, activation="relu")]


@network(
    "convolutional, 99,898 parameters",
    plain=PLAIN,
    fast=FAST | CNN | {"epochs": 8, "rotation": 7, "scaling": 0.14, "shear": 0.1},
    best=BEST | CNN | {"epochs": 30, "rotation": 8, "scaling": 0.17, "shear": 0.12},
)
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
