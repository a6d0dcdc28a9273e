"""A Keras script as Keras' guides write it: `compile`, `fit` in batches of 32, `evaluate`, here after each epoch.

`--tuned` adds what they recommend for speed: a large batch at a higher rate, `steps_per_execution`, `jit_compile`.
"""

from __future__ import annotations

import json

import keras
import tensorflow as tf
from timing import QUICK_EPOCHS, EpochTimer, flag_parser, load_digits

EPOCHS = 10
# The fastest to the target of 250, 500 and 1000 at 2e-3 and 4e-3. Each divides 60,000: a smaller last batch would be
# compiled by itself.
TUNED_BATCH_SIZE, TUNED_LEARNING_RATE = 250, 4e-3


def main() -> None:
    parser = flag_parser(__doc__)
    parser.add_argument("--tuned", action="store_true")
    options = parser.parse_args()

    keras.utils.set_random_seed(options.seed)
    digits = load_digits()
    x_train, x_test = (images.astype("float32") / 255 for images in (digits.x_train, digits.x_test))

    timer = EpochTimer()
    batch_size = TUNED_BATCH_SIZE if options.tuned else 32
    model = build(tuned=options.tuned, steps=len(x_train) // batch_size)

    def evaluate() -> float:
        return float(model.evaluate(x_test, digits.y_test, verbose=0)[1])

    after_epoch = keras.callbacks.LambdaCallback(on_epoch_end=lambda _epoch, _logs: timer.end_epoch(evaluate))
    model.fit(
        x_train,
        digits.y_train,
        batch_size=batch_size,
        epochs=QUICK_EPOCHS if options.quick else EPOCHS,
        callbacks=[after_epoch],
        verbose=0,
    )
    print(json.dumps(timer.to_dict() | {"libraries": {"keras": keras.__version__, "tensorflow": tf.__version__}}))


def build(*, tuned: bool, steps: int) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input(shape=(28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    settings = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    if tuned:
        optimizer = keras.optimizers.Adam(TUNED_LEARNING_RATE)
        model.compile(optimizer=optimizer, steps_per_execution=steps, jit_compile=True, **settings)
    else:
        model.compile(optimizer="adam", **settings)
    return model


if __name__ == "__main__":
    main()
