"""Train on a random part of MNIST as the default command does, test split included; score on MNIST's test part."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import api
import numpy as np
from timing import flag_parser, load_digits

from tasks.inference.start_up import import_tensorflow


def main() -> None:
    parser = flag_parser(__doc__)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--stratified", action="store_true", help="the same number of each digit")
    options = parser.parse_args()
    digits = load_digits()
    order = np.random.default_rng(options.seed).permutation(len(digits.y_train))
    if options.stratified:
        order = np.concatenate([order[digits.y_train[order] == digit][: options.rows // 10] for digit in range(10)])
    rows, path = np.sort(order[: options.rows]), options.work / "few_rows.npz"
    np.savez(path, x=digits.x_train[rows], y=digits.y_train[rows])
    accuracy = train(path, options.seed, quick=options.quick)
    print(json.dumps({"accuracy": accuracy, "libraries": {name: version(name) for name in ("keras", "tensorflow")}}))


def train(path: Path, seed: int, *, quick: bool) -> float:
    """Train on a source and return the accuracy on MNIST's test part."""
    import_tensorflow()
    from tasks.inference.model import predict_images

    dataset, test = api.validate(api.load(path)), api.validate(api.load("mnist")).test
    recipe = api.parse_recipe(["--recipe", "fast"], seed, quick=quick, n_rows=len(dataset.train))
    network = api.train(dataset, recipe).network
    return float((predict_images(network, test).argmax(axis=1) == test.labels).mean())


if __name__ == "__main__":
    main()
