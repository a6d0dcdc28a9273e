"""A trial: sample a recipe, train with it, and measure it on held-out rows. Runs in a process of the workers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState, create_trial

from artifacts.store.storage import storage_at
from schemas.errors import InputError, TrainingError, first_line
from schemas.recipe import Recipe
from schemas.results import Dataset, TrainingResult
from schemas.training import EpochRecord
from tasks.tuning.search_space import search_space, to_recipe

HELD_OUT = 0.2
"""Share of the training rows that trials are measured on; the recipe's seed draws the same ones for each trial."""
N_RANDOM = 8
"""Trials before the sampler models the good ones, and before the first one may be ended early."""
N_RUNGS, FIRST_RUNG = 10, 3
"""A trial may be ended early at each tenth of its epochs, from the third on."""
NUMBER, FAULT = "number", "fault"
"""Attributes of a trial: the study's own number, and the reason of a failure."""


def run(dataset: Dataset, start: Recipe, earlier: Sequence[FrozenTrial], number: int) -> FrozenTrial:
    """Run a trial and return it, finished: the same arguments give the same trial.

    Sampler and pruner see the earlier trials alone, whatever else runs at the same time.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    (seed,) = np.random.SeedSequence([start.seed, number]).generate_state(1)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=int(seed), n_startup_trials=N_RANDOM, multivariate=True),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=N_RANDOM, n_warmup_steps=FIRST_RUNG - 1),
    )
    study.add_trials(earlier)
    space = search_space(start)
    if number == 0:
        study.enqueue_trial({name: getattr(start, name) for name in space})
    trial = study.ask(space)
    value, state, fault = _measure(dataset, to_recipe(start, trial.params), trial)
    return create_trial(
        state=state,
        value=value,
        params=trial.params,
        distributions=trial.distributions,
        intermediate_values=study.trials[-1].intermediate_values,
        user_attrs={NUMBER: number, FAULT: fault},
    )


def failed(number: int, fault: str) -> FrozenTrial:
    """Return a trial whose process ended; what it tried is lost with it."""
    return create_trial(state=TrialState.FAIL, user_attrs={NUMBER: number, FAULT: fault})


def _measure(dataset: Dataset, recipe: Recipe, trial: optuna.Trial) -> tuple[float | None, TrialState, str]:
    """Return the held-out accuracy, the state, and the reason of a failure."""

    def report(record: EpochRecord) -> None:
        rung, before = (N_RUNGS * epoch // recipe.epochs for epoch in (record.epoch, record.epoch - 1))
        if rung > before and record.validation_accuracy is not None:
            trial.report(record.validation_accuracy, rung)
            if trial.should_prune():
                raise optuna.TrialPruned

    try:
        return held_out_accuracy(dataset, recipe, report), TrialState.COMPLETE, ""
    except optuna.TrialPruned:
        return None, TrialState.PRUNED, ""
    except (TrainingError, InputError, MemoryError) as error:
        return None, TrialState.FAIL, first_line(error)


def held_out_accuracy(
    dataset: Dataset, recipe: Recipe, on_epoch: Callable[[EpochRecord], None] = lambda _: None
) -> float:
    """Train with a recipe and return its accuracy on the held-out rows, which its seed draws."""
    trained = _train(dataset, recipe.model_copy(update={"validation_fraction": HELD_OUT}), on_epoch)
    return float((trained.held_out_probabilities.argmax(axis=1) == trained.held_out_labels).mean())


def right_on_test(dataset: Dataset, recipe: Recipe) -> NDArray[np.bool_]:
    """Train with a recipe as it is, validation fraction included, and return which test rows it predicts right."""
    from tasks.inference.model import predict_images

    network = _train(dataset, recipe).network
    return np.asarray(predict_images(network, dataset.test).argmax(axis=1) == dataset.test.labels)


def _train(
    dataset: Dataset, recipe: Recipe, on_epoch: Callable[[EpochRecord], None] = lambda _: None
) -> TrainingResult:
    """Train without leaving anything behind: a trial is short, and repeated if it was interrupted."""
    from tasks.inference.start_up import memory_errors

    with tempfile.TemporaryDirectory() as work, memory_errors():
        from tasks.training.local_engine import train

        return train(dataset, recipe, storage_at(work), on_epoch, lambda _: None)
