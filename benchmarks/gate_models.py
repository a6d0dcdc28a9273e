"""Train the models that the gate is simulated with, and keep their answers to MNIST's test images in `build/gate`.

A model whose answers are there isn't trained again. All of them take about a quarter of an hour of one core.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
ANSWERS = HERE.parent / "build" / "gate"
RECIPES: dict[str, tuple[list[str], int]] = {
    "fast": (["--recipe", "fast"], 12),
    "fast, 6 epochs": (["--recipe", "fast", "--epochs", "6"], 3),
    "fast, 1 epoch": (["--recipe", "fast", "--epochs", "1"], 2),
    "best": (["--recipe", "best"], 5),
}
"""The flags of each recipe, and the number of its seeds."""


class Answers(NamedTuple):
    """The answers of the seeds of a recipe: whether each is right (seeds × rows × answers), and the log losses."""

    right: NDArray[np.bool_]
    log_loss: NDArray[np.float32]

    @property
    def accuracy(self) -> float:
        """The mean accuracy on the images themselves."""
        return float(self.right[:, :, 0].mean())


def answers() -> dict[str, Answers]:
    """Return the answers of each recipe's seeds; train the models that are missing."""
    ANSWERS.mkdir(parents=True, exist_ok=True)
    paths = {name: [ANSWERS / f"{name}-{seed}.npz" for seed in range(seeds)] for name, (_, seeds) in RECIPES.items()}
    if missing := [path for seeds in paths.values() for path in seeds if not path.exists()]:
        _train(missing)
    return {name: _read(seeds) for name, seeds in paths.items()}


def _read(paths: list[Path]) -> Answers:
    archives = [np.load(path) for path in paths]
    return Answers(*(np.stack([archive[name] for archive in archives]) for name in Answers._fields))


def _train(paths: list[Path]) -> None:
    sys.path.insert(0, str(HERE / "project"))
    import api

    api.import_tensorflow()
    dataset = api.validate(api.load("mnist"))
    for path in paths:
        name, _, seed = path.stem.rpartition("-")
        recipe = api.parse_recipe(RECIPES[name][0], int(seed), quick=False)
        with tempfile.TemporaryDirectory() as work:
            right, log_loss = api.train_and_answer(dataset, recipe, Path(work))
        np.savez_compressed(path, right=right, log_loss=log_loss)
        print(f"{path.stem}: {right[:, 0].mean():.2%}", flush=True)


if __name__ == "__main__":
    answers()
