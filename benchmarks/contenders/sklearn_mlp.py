"""scikit-learn's `MLPClassifier((128, 64))` with its default settings, an epoch at a time by `partial_fit`."""

from __future__ import annotations

import argparse

import numpy as np
import sklearn
from laps import Laps, load_digits, report
from sklearn.neural_network import MLPClassifier


def main() -> None:
    """Train and report. `--dtype float64` is what `X / 255.0` gives, as in the guides; float32 is the faster."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--dtype", choices=["float64", "float32"], default="float64")
    options = parser.parse_args()

    x_train, y_train, x_test, y_test = load_digits()
    x_train = (x_train.reshape(-1, 784) / 255.0).astype(options.dtype)
    x_test = (x_test.reshape(-1, 784) / 255.0).astype(options.dtype)

    laps = Laps()
    model = MLPClassifier(hidden_layer_sizes=(128, 64), random_state=options.seed)
    for _ in range(options.epochs):
        model.partial_fit(x_train, y_train, classes=np.arange(10))
        laps.epoch_done(lambda: float(model.score(x_test, y_test)))
    report(laps, laps.accuracies[-1], {"scikit-learn": sklearn.__version__})


if __name__ == "__main__":
    main()
