"""Train on a random part of MNIST as the default command does, test split included; score on MNIST's test part.

With `--svc`, fit scikit-learn's `SVC` with its default settings on all rows of the same part instead.
"""

from __future__ import annotations

import json
import time
from importlib.metadata import version
from pathlib import Path

import api
import numpy as np
from timing import flag_parser, load_digits


def main() -> None:
    """Train and print the metrics."""
    parser = flag_parser(__doc__)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--stratified", action="store_true", help="the same number of each digit")
    parser.add_argument("--svc", action="store_true")
    options = parser.parse_args()
    digits = load_digits()
    order = np.random.default_rng(options.seed).permutation(len(digits.y_train))
    if options.stratified:
        order = np.concatenate([order[digits.y_train[order] == digit][: options.rows // 10] for digit in range(10)])
    rows = np.sort(order[: options.rows])
    pixels, labels = digits.x_train[rows], digits.y_train[rows]
    started = time.process_time()
    if options.svc:
        from sklearn.svm import SVC

        model = SVC().fit(pixels.reshape(len(rows), -1) / 255, labels)
        accuracy = float(model.score(digits.x_test.reshape(len(digits.x_test), -1) / 255, digits.y_test))
    else:
        accuracy = train(options.work / "few_rows.npz", pixels, labels, options.seed, quick=options.quick)
    libraries = {name: version(name) for name in ("keras", "tensorflow", "numpy", "scikit-learn")}
    print(json.dumps({"accuracy": accuracy, "cpu_seconds": time.process_time() - started, "libraries": libraries}))


def train(path: Path, pixels: api.Pixels, labels: api.Pixels, seed: int, *, quick: bool) -> float:
    """Train on a source with these rows and return the accuracy on MNIST's test part."""
    np.savez(path, x=pixels, y=labels)
    api.import_tensorflow()
    dataset, test = api.validate(api.load(path)), api.validate(api.load("mnist")).test
    trainer = api.Trainer(dataset, api.fitted_recipe(dataset, seed, quick=quick))
    while not trainer.is_done:
        trainer.run_epoch()
    trainer.finish()
    return trainer.accuracy(test)


if __name__ == "__main__":
    main()
