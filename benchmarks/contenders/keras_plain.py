"""A plain Keras script, as Keras' guides write it: `compile`, `fit` in batches of 32, `evaluate`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import keras
import tensorflow as tf
from laps import Laps, load_digits, report

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class JudgeEachEpoch(keras.callbacks.Callback):
    """Evaluate on the test rows after each epoch."""

    def __init__(self, laps: Laps, x_test: NDArray[np.floating], y_test: NDArray[np.uint8]) -> None:
        """Take the laps to write into."""
        super().__init__()
        self.laps, self.x_test, self.y_test = laps, x_test, y_test

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002, Keras' signature
        """Note the epoch."""
        self.laps.epoch_done(self.accuracy)

    def accuracy(self) -> float:
        """Give the test accuracy."""
        return float(self.model.evaluate(self.x_test, self.y_test, verbose=0)[1])


def main() -> None:
    """Train and report; `--whole` leaves out the evaluation after each epoch, which a user wouldn't ask for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()

    keras.utils.set_random_seed(options.seed)
    digits = load_digits()
    x_train = digits.x_train.astype("float32") / 255
    x_test = digits.x_test.astype("float32") / 255

    laps = Laps()
    model = keras.Sequential(
        [
            keras.Input(shape=(28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    callbacks = [] if options.whole else [JudgeEachEpoch(laps, x_test, digits.y_test)]
    model.fit(x_train, digits.y_train, batch_size=32, epochs=options.epochs, callbacks=callbacks, verbose=0)
    _, accuracy = model.evaluate(x_test, digits.y_test, verbose=0)
    report(laps, float(accuracy), {"keras": keras.__version__, "tensorflow": tf.__version__})


if __name__ == "__main__":
    main()
