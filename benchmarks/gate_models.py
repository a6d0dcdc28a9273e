"""The models that the gate is simulated with: real ones, and simulated ones that mix their answers.

Real models are trained once; their answers to MNIST's test images are kept in `build/gate`. One whose answers are there
isn't trained again. `python benchmarks/gate_models.py` trains them, about three quarters of an hour.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from artifacts.store.records import State
from schemas.gate import DEFAULT_GATE, Decision
from schemas.slices import Division
from tasks.scoring import slices
from tasks.scoring.gate import Candidate, Champion, ComparedRows, decide

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "project"))
import api  # noqa: E402

ANSWERS = HERE.parent / "build" / "gate"
N_ROWS = 10_000
Model = NDArray[np.bool_]
"""Whether each answer of a model is right, rows × answers."""
Divisions = tuple[Division, ...]
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


class World:
    """The real models, and test rows drawn from the population for one run, with their slices."""

    def __init__(self, models: dict[str, Answers], divisions: Divisions, seed: int, n_rows: int = N_ROWS) -> None:
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
        return points / 100 / (self.models[other].accuracy - self.models[recipe].accuracy)

    def _drawn(self, recipe: str) -> Model:
        right = self.models[recipe].right
        return right[self.random.integers(len(right), size=len(self.rows)), self.rows]


class Registry:
    """The gate's decisions on one candidate after the other, with the state that the store keeps."""

    def __init__(self, first: Model, divisions: Divisions = (), digests: NDArray[np.uint64] | None = None) -> None:
        self.models = {1: first}
        self.state = State(champion=1, best_champion=1, last_version=1)
        digests = np.arange(len(first), dtype=np.uint64) if digests is None else digests
        self._rows = ComparedRows(digests, divisions)

    @property
    def champion(self) -> Model:
        """The champion's answers."""
        return self.models[self.state.champion or 1]

    def submit(self, model: Model, *, new_rows: int = 0) -> Decision:
        """Let the gate decide on a candidate, and record the decision."""
        number = self.state.last_version + 1
        measurements = {"accuracy": 1.0, "calibration error": 0.0, "model size in MiB": 0.0, "latency in ms": 0.0}
        champion, best = (self._champion(one or 1) for one in (self.state.champion, self.state.best_champion))
        decision = decide(
            Candidate(model, measurements, new_rows),
            champion,
            self._rows,
            DEFAULT_GATE,
            best=best,
            refused_before=self.state.refusals,
        )
        self.state = self.state.with_decision(number, decision.to_dict()).with_fields(last_version=number)
        kept = (self.state.champion, self.state.best_champion)
        self.models = {version: right for version, right in (self.models | {number: model}).items() if version in kept}
        return decision

    def _champion(self, version: int) -> Champion:
        right = self.models[version]
        return Champion(version, right, np.zeros(len(right), bool))


class Setting(NamedTuple):
    """The real models, the slices of the test rows, and the number of runs."""

    models: dict[str, Answers]
    divisions: Divisions
    runs: int

    def worlds(self, n_rows: int = N_ROWS, factor: int = 1) -> list[World]:
        """Return the worlds of the runs."""
        return [World(self.models, self.divisions, seed, n_rows) for seed in range(self.runs * factor)]


def answers(*, trains: bool = True) -> dict[str, Answers]:
    """Return the answers of each recipe's seeds; train the models that are missing, or leave them out."""
    ANSWERS.mkdir(parents=True, exist_ok=True)
    paths = {name: [ANSWERS / f"{name}-{seed}.npz" for seed in range(seeds)] for name, (_, seeds) in RECIPES.items()}
    if trains:
        _train([path for seeds in paths.values() for path in seeds if not path.exists()])
    return {name: _read([path for path in seeds if path.exists()]) for name, seeds in paths.items()}


def _read(paths: list[Path]) -> Answers:
    archives = [np.load(path) for path in paths]
    return Answers(*(np.stack([archive[name] for archive in archives]) for name in Answers._fields))


def mnist_divisions() -> Divisions:
    """Return the slices of MNIST's test rows that the gate tests."""
    return slices.divide(_mnist())


def _mnist() -> api.Dataset:
    return api.validate(api.load("mnist"))


def _train(paths: list[Path]) -> None:
    if not paths:
        return
    api.import_tensorflow()
    dataset = _mnist()
    for path in paths:
        name, _, seed = path.stem.rpartition("-")
        recipe = api.parse_recipe(RECIPES[name][0], int(seed), quick=False)
        with tempfile.TemporaryDirectory() as work:
            right, log_loss = api.train_and_answer(dataset, recipe, Path(work))
        np.savez_compressed(path, right=right, log_loss=log_loss)
        print(f"{path.stem}: {right[:, 0].mean():.2%}", flush=True)


if __name__ == "__main__":
    answers()
