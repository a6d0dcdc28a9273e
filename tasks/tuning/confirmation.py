"""Confirm the best recipes of a study: on held-out rows over several seeds, and the best one on the test part."""

from __future__ import annotations

import numpy as np

from schemas.errors import TrainingError
from schemas.recipe import Recipe
from schemas.results import Dataset
from schemas.tuning import Gain, Trial, Tuning
from tasks.tuning.study import Study
from tasks.tuning.trial import held_out_accuracy, right_on_test
from tasks.tuning.workers import Workers

N_FINALISTS, N_SEEDS = 3, 3
N_RECIPE_SEEDS = 2**31
Z95 = 1.96


def confirm(dataset: Dataset, study: Study, workers: Workers, n_trials: int, output: str) -> Tuning:
    """Return the study's result. The test part is used only here, and only for a recipe that won on held-out rows.

    The seeds also draw the held-out rows, so these are others than the trials'. A training that fails has an accuracy
    of 0, so that the recipe drops out. Raises TrainingError if no trial was completed.
    """
    start, trials = study.start, study.trials(n_trials)
    seeds = tuple((start.seed + number) % N_RECIPE_SEEDS for number in range(1, N_SEEDS + 1))
    recipes = [start, *finalists(trials, start)]
    jobs = [recipe.model_copy(update={"seed": seed}) for recipe in recipes for seed in seeds]
    accuracies = np.reshape(workers.map(held_out_accuracy, jobs, 0.0), (len(recipes), N_SEEDS))
    best = int(accuracies.mean(axis=1).argmax())  # the first of equal ones: the starting recipe
    gain = None
    if best and not dataset.n_folds:  # else there is no test part
        gain = measure_gain(workers, recipes[0], recipes[best], seeds, len(dataset.test))
    is_better = best > 0 and (gain is None or gain.gain > 0)
    return Tuning(
        source=dataset.name,
        start=start,
        trials=trials,
        importance=study.importance(),
        seeds=seeds,
        confirmed=tuple((recipe, tuple(row)) for recipe, row in zip(recipes, accuracies.tolist(), strict=True)),
        winner=recipes[best] if is_better else None,
        test=gain,
        output=output,
    )


def finalists(trials: tuple[Trial, ...], start: Recipe) -> list[Recipe]:
    """Return the recipes with the highest held-out accuracy, but not the starting one."""
    complete = [trial for trial in trials if trial.accuracy is not None]
    if not complete:
        fault = next((trial.fault for trial in trials if trial.fault), "all were ended early")
        raise TrainingError(f"no trial was completed: {fault}")
    ranked = sorted(complete, key=lambda trial: -(trial.accuracy or 0))
    return [trial.recipe for trial in ranked if trial.recipe != start][:N_FINALISTS]


def measure_gain(workers: Workers, start: Recipe, winner: Recipe, seeds: tuple[int, ...], n_rows: int) -> Gain:
    """Measure on the test part how much more accurate the winner is.

    Both are trained with each seed as the train flow trains them. The interval is that of the mean over the rows
    (normal approximation) of how much more often the winner is right, averaged over the seeds.
    """
    all_wrong = np.zeros(n_rows, np.bool_)
    jobs = [recipe.model_copy(update={"seed": seed}) for recipe in (start, winner) for seed in seeds]
    right = np.reshape(workers.map(right_on_test, jobs, all_wrong), (2, len(seeds), -1)).mean(axis=1)
    differences = right[1] - right[0]
    gain = float(differences.mean())
    margin = Z95 * float(differences.std(ddof=1)) / np.sqrt(len(differences))
    return Gain(len(differences), float(right[0].mean()), gain, (gain - margin, gain + margin))
