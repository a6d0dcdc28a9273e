"""Build a recipe's network and optimiser from Keras' own classes, so that a saved file loads without this project."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from schemas.digits import CLASSES, SIDE
from schemas.networks import NETWORKS
from schemas.recipe import Recipe
from schemas.training import Precision

SGD_MOMENTUM = 0.9
MUON_STEPS = 3  # Newton-Schulz iterations: as accurate here as Keras' default of 5, at 60 % of the cost
MUON_ADAM_RATIO = 0.3  # the biases' learning rate as a share of the matrices'
MAX_SEED = 1_000_000_000  # as Keras draws them
TINY = 1e-14  # the square of what Keras adds to a norm, because a gradient may be 0


def build_network(recipe: Recipe) -> keras.Model:
    """Build the network for 28 × 28 pixels from 0 to 255 and ten probabilities, with initial weights from the seed."""
    all_layers = [
        layers.Rescaling(1 / 255),
        *NETWORKS[recipe.network].layers(layers),
        layers.Dense(len(CLASSES), activation="softmax", name="probabilities"),
    ]
    # Keras would draw seeds from Python's global generator, which the threads of Prefect's client use, too.
    seeds = random.Random(recipe.seed)  # noqa: S311, not for cryptography
    seeded = [type(layer).from_config(_with_seeds(layer.get_config(), seeds)) for layer in all_layers]
    return keras.Sequential([keras.Input((SIDE, SIDE), name="pixels"), *seeded], name=recipe.network)


def _with_seeds(config: Any, seeds: random.Random) -> Any:  # noqa: ANN401, any part of a configuration
    """Return a layer's configuration with a seed wherever Keras would choose one."""
    if not isinstance(config, dict):
        return config
    return {
        key: seeds.randint(1, MAX_SEED) if key == "seed" and value is None else _with_seeds(value, seeds)
        for key, value in config.items()
    }


@contextmanager
def hidden_layers_in(network: keras.Model, precision: Precision) -> Iterator[None]:
    """Make the hidden layers compute with a precision inside a `with`; the weights and the output stay `float32`.

    A processor that multiplies `bfloat16` natively trains an epoch of the convolutional network in 0.55 of the time
    with it. The mlp would gain nothing, and have other weights on each kind of processor.
    """
    hidden = network.layers[1:-1] if precision != "float32" else []  # the first layer scales the pixels
    for layer in hidden:
        layer.dtype_policy = f"mixed_{precision}"
    try:
        yield
    finally:
        for layer in hidden:
            layer.dtype_policy = "float32"


class GramMuon(keras.optimizers.Muon):  # type: ignore[misc]  # Keras has no types
    """Keras' Muon, in 0.88 of an epoch's time: it iterates on the product of a matrix with itself, 128 × 128 here.

    Each of Keras' iterations multiplies a matrix X by a polynomial of XᵀX. These polynomials commute, so that their
    product is computed first, and X is read only at the start and at the end.
    """

    def zeropower_via_newtonschulz5(self, x: tf.Tensor, steps: int) -> tf.Tensor:
        is_tall = x.shape[0] > x.shape[1]
        gram = tf.matmul(x, x, transpose_a=is_tall, transpose_b=not is_tall)
        square_of_norm = tf.linalg.trace(gram) + TINY
        gram /= square_of_norm
        identity = tf.eye(gram.shape[0])
        product = identity * tf.math.rsqrt(square_of_norm)
        for _ in range(steps):
            polynomial = self.muon_a * identity + self.muon_b * gram + self.muon_c * gram @ gram
            product @= polynomial
            gram @= polynomial @ polynomial
        return x @ product if is_tall else product @ x


def build_optimizer(recipe: Recipe, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Build the optimiser; a cosine schedule reaches 0 at the end of the last epoch."""
    options: dict[str, Any] = {
        "learning_rate": _schedule(recipe, recipe.epochs * steps_per_epoch),
        "weight_decay": recipe.weight_decay or None,
        "use_ema": recipe.weight_averaging > 0,
        "ema_momentum": recipe.weight_averaging or None,
    }
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(**options)
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(**options, momentum=SGD_MOMENTUM, nesterov=True)
    return GramMuon(
        **options, adam_weight_decay=recipe.weight_decay, ns_steps=MUON_STEPS, adam_lr_ratio=MUON_ADAM_RATIO
    )


def _schedule(recipe: Recipe, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if recipe.schedule == "constant":
        return recipe.learning_rate
    warmup_steps = int(recipe.warmup * steps)
    if not warmup_steps:
        return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, decay_steps=steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=recipe.learning_rate / 100,
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup_steps,
        decay_steps=steps - warmup_steps,
    )
