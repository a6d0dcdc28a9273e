"""The models that the gate is simulated with: real ones, and simulated ones that mix their answers.

Real models are trained once; their answers to MNIST's test images are kept in `build/gate`. One whose answers are there
isn't trained again. `python benchmarks/gate_models.py` trains them, about three quarters of an hour.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import api
import numpy as np
from numpy.typing import NDArray

from artifacts.store.records import State
from schemas.gate import DEFAULT_GATE, Decision
from schemas.slices import Division
from tasks.inference.start_up import import_tensorflow
from tasks.scoring import slices
from tasks.scoring.gate import Candidate, Champion, ComparedRows, decide

ANSWERS = Path(__file__).parents[1] / "build" / "gate"
N_ROWS = 10_000
Model = NDArray[np.bool_]
"""Whether each answer of a model is right, rows × answers."""
Models = NDArray[np.bool_]
"""The models of the seeds of a recipe, seeds × rows × answers."""
Divisions = tuple[Division, ...]
RECIPES: dict[str, tuple[list[str], int]] = {
    "fast": (["--recipe", "fast"], 12),
    "fast, 6 epochs": (["--recipe", "fast", "--epochs", "6"], 3),
    "fast, 1 epoch": (["--recipe", "fast", "--epochs", "1"], 2),
    "best": (["--recipe", "best"], 5),
}
"""The flags of each recipe, and the number of its seeds."""


def accuracy(models: Models) -> float:
    """Return the mean accuracy on the images themselves."""
    return float(models[:, :, 0].mean())


class World:
    """The real models, and test rows drawn from the population for one run, with their slices."""

    def __init__(self, models: dict[str, Models], divisions: Divisions, seed: int, n_rows: int = N_ROWS) -> None:
        self.models = models
        self.random = np.random.default_rng(seed)
        self.rows = self.random.integers(N_ROWS, size=n_rows)
        self.divisions = tuple(Division(one.name, one.slices, one.numbers[self.rows]) for one in divisions)

    def model(self, recipe: str, other: str = "", share: float = 0.0) -> Model:
        """Return a simulated model of a recipe, with a share of the rows from another one."""
        mixed = self._drawn(recipe)
        if share:
            from_other = self.random.random(len(self.rows)) < share
            mixed[from_other] = self._drawn(other)[from_other]
        return mixed

    def share(self, points: float, recipe: str, other: str) -> float:
        """Return the share of another recipe's rows that makes a model of a recipe better by some points."""
        return points / 100 / (accuracy(self.models[other]) - accuracy(self.models[recipe]))

    def _drawn(self, recipe: str) -> Model:
        models = self.models[recipe]
        return models[self.random.integers(len(models), size=len(self.rows)), self.rows]


class Registry:
    """The gate's decisions on one candidate after the other, with the state that the store keeps."""

    def __init__(self, first: Model, divisions: Divisions = (), digests: NDArray[np.uint64] | None = None) -> None:
        self.models = {1: first}
        self.state = State(champion=1, best_champion=1, last_version=1)
        digests = np.arange(len(first), dtype=np.uint64) if digests is None else digests
        self._rows = ComparedRows(digests, divisions)

    @property
    def champion(self) -> Model:
        return self.models[self.state.champion or 1]

    def decide(self, model: Model, *, new_rows: int = 0) -> Decision:
        measurements = {"accuracy": 1.0, "calibration error": 0.0, "model size in MiB": 0.0, "latency in ms": 0.0}
        champion, best = (self._champion(one or 1) for one in (self.state.champion, self.state.best_champion))
        return decide(
            Candidate(model, measurements, new_rows),
            champion,
            self._rows,
            DEFAULT_GATE,
            best=best,
            refused_before=self.state.refusals,
        )

    def submit(self, model: Model, *, new_rows: int = 0) -> Decision:
        """Let the gate decide on a candidate, and record the decision."""
        decision, number = self.decide(model, new_rows=new_rows), self.state.last_version + 1
        self.state = self.state.with_decision(number, decision.to_dict()).with_fields(last_version=number)
        kept = (self.state.champion, self.state.best_champion)
        self.models = {version: right for version, right in (self.models | {number: model}).items() if version in kept}
        return decision

    def _champion(self, version: int) -> Champion:
        right = self.models[version]
        return Champion(version, right, np.zeros(len(right), bool))


class Setting(NamedTuple):
    """The real models, the slices of the test rows, and the number of runs."""

    models: dict[str, Models]
    divisions: Divisions
    runs: int

    def worlds(self, n_rows: int = N_ROWS, factor: int = 1) -> list[World]:
        return [World(self.models, self.divisions, seed, n_rows) for seed in range(self.runs * factor)]


def answers(*, trains: bool = True) -> dict[str, Models]:
    """Return the answers of each recipe's seeds; train the models that are missing, or leave them out."""
    ANSWERS.mkdir(parents=True, exist_ok=True)
    paths = {name: [ANSWERS / f"{name}-{seed}.npz" for seed in range(seeds)] for name, (_, seeds) in RECIPES.items()}
    missing = [path for files in paths.values() for path in files if not path.exists()]
    if trains and missing:
        _train(missing)
    return {
        name: np.stack([np.load(file)["right"] for file in files if file.exists()]) for name, files in paths.items()
    }


def mnist_divisions() -> Divisions:
    """Return the slices of MNIST's test rows that the gate tests."""
    return slices.divide(api.validate(api.load("mnist")))


def _train(paths: list[Path]) -> None:
    import_tensorflow()
    from tasks.inference.answers import right_answers
    from tasks.inference.predictor import predictor

    dataset = api.validate(api.load("mnist"))
    for path in paths:
        name, _, seed = path.stem.rpartition("-")
        trained = api.train(dataset, api.parse_recipe(RECIPES[name][0], int(seed)))
        (right,) = right_answers([predictor(trained.network)], dataset.test)
        np.savez_compressed(path, right=right)
        print(f"{path.stem}: {right[:, 0].mean():.2%}", flush=True)


if __name__ == "__main__":
    answers()
