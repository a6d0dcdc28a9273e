"""The study: the finished trials of one search, in an SQLite file or a database, from which it resumes.

A round has one trial for each worker. A trial is sampled from those of earlier rounds, with its number
as the seed. So a study that was killed ends with the same trials as one that wasn't; only those that ran are repeated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as State
from sqlalchemy.exc import SQLAlchemyError

from schemas.errors import InputError, TrainingError, first_line
from schemas.recipe import Recipe
from schemas.results import Dataset
from schemas.tuning import Trial, TrialState
from tasks.training.fingerprint import fingerprint
from tasks.tuning import trial
from tasks.tuning.search_space import search_space, to_recipe
from tasks.tuning.trial import FAULT, NUMBER
from tasks.tuning.workers import Workers

STATES: dict[State, TrialState] = {State.COMPLETE: "complete", State.PRUNED: "pruned", State.FAIL: "failed"}


class Study:
    """The trials of one search, in a file of a folder or in a database, under a name for all that determines them."""

    def __init__(self, storage: Path | str, dataset: Dataset, start: Recipe, round_size: int) -> None:
        self.start, self._round_size = start, round_size
        space = {name: repr(distribution) for name, distribution in search_space(start).items()}
        parts = [fingerprint(dataset, start), space, round_size, optuna.__version__]
        self.name = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if isinstance(storage, Path):
            storage.mkdir(parents=True, exist_ok=True)
            storage = f"sqlite:///{(storage / self.name).absolute()}.db"
        try:
            self._study = optuna.create_study(
                study_name=self.name, storage=storage, direction="maximize", load_if_exists=True
            )
        except (ImportError, ValueError, SQLAlchemyError, StorageInternalError) as error:
            raise InputError(f"the database for studies can't be used: {first_line(error)}") from error

    def rounds(self, n_trials: int) -> Iterator[list[int]]:
        """Yield the numbers of the trials that each round still needs."""
        for first in range(0, n_trials, self._round_size):
            finished = self._finished()
            numbers = range(first, min(first + self._round_size, n_trials))
            if missing := [number for number in numbers if number not in finished]:
                yield missing

    def earlier(self, number: int) -> list[FrozenTrial]:
        """Return the trials of the rounds before a trial's own."""
        first = number // self._round_size * self._round_size
        return [each for earlier, each in self._finished().items() if earlier < first]

    def run(self, number: int, workers: Workers) -> Trial:
        """Run a trial in an idle worker and add it; it fails if the worker's process ends."""
        try:
            finished = workers.run(trial.run, self.start, self.earlier(number), number)
        except TrainingError as error:
            finished = trial.failed(number, str(error))
        return self.add(finished)

    def add(self, finished: FrozenTrial) -> Trial:
        self._study.add_trial(finished)
        return self._to_trial(finished)

    def trials(self, n_trials: int) -> tuple[Trial, ...]:
        """Return the first n trials."""
        return tuple(self._to_trial(each) for number, each in self._finished().items() if number < n_trials)

    def importance(self) -> dict[str, float]:
        """Return the importance of each field, the highest first; empty if too few trials are complete."""
        if len(self._study.get_trials(states=[State.COMPLETE])) <= 1:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        try:
            importances = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        except RuntimeError:  # all are equally good
            return {}
        return {name: float(share) for name, share in importances.items()}

    def _finished(self) -> dict[int, FrozenTrial]:
        """Return the trials by the study's own numbers, in their order; one that two runs made counts once."""
        trials = {each.user_attrs[NUMBER]: each for each in reversed(self._study.trials)}
        return dict(sorted(trials.items()))

    def _to_trial(self, finished: FrozenTrial) -> Trial:
        value = finished.value if finished.state is State.COMPLETE else None
        recipe = to_recipe(self.start, finished.params)
        return Trial(finished.user_attrs[NUMBER], STATES[finished.state], recipe, value, finished.user_attrs[FAULT])
