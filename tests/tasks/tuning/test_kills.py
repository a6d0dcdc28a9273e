"""A search whose process is killed at random, four times: real kills of a real study; only the trainings stand in."""

import dataclasses
import multiprocessing
import random
import time

import pytest

from schemas.training import EpochRecord
from tasks.tuning import trial
from tasks.tuning.study import Study
from tasks.tuning.workers import Workers

N_TRIALS, KILLS = 10, 4


def accuracy(_dataset, recipe, on_epoch):
    """Calculate an accuracy, in the time of a very short training."""
    for epoch in range(1, recipe.epochs + 1):
        time.sleep(0.002)
        on_epoch(EpochRecord(epoch, 1.0, 0.9, 1.0, (1 - abs(recipe.rotation - 5) / 50) * epoch / recipe.epochs, 0.1))
    return 1 - abs(recipe.rotation - 5) / 50


def search(folder, dataset, start):
    """Run the study to its end, one trial after the other; note each start of a trial."""
    trial.held_out_accuracy = accuracy  # this is a process of its own
    study = Study(folder, dataset, start, 1)
    with Workers(dataset, 1) as workers, (folder / "starts").open("a") as starts:
        for numbers in study.rounds(N_TRIALS):
            print(*numbers, file=starts, flush=True)
            study.run(*numbers, workers)


def outcomes(folder, dataset, start):
    return [(one.state, one.recipe, one.accuracy) for one in Study(folder, dataset, start, 1).trials(N_TRIALS)]


@pytest.fixture(scope="module")
def processes():
    """Return a context whose processes start at once, with Optuna imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["test_kills", "tasks.tuning.study"])
    return context


def run(process, folder):
    """Start a search; wait until it has started a trial, or ended."""
    n_before = len(starts_of(folder))
    process.start()
    while process.exitcode is None and len(starts_of(folder)) == n_before:
        time.sleep(0.01)


def starts_of(folder):
    return (folder / "starts").read_text().splitlines()


@pytest.mark.slow
def test_killed_study_ends_as_if_undisturbed(tmp_path, tiny, start, processes):
    dice, n_kills = random.Random(3), 0  # noqa: S311, no secret
    dataset = dataclasses.replace(tiny, read_items=None)  # as the workers get it
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for folder in (undisturbed, killed):
        folder.mkdir()
        (folder / "starts").touch()
        while True:
            process = processes.Process(target=search, args=(folder, dataset, start))
            run(process, folder)
            process.join(dice.uniform(0, 0.2) if folder == killed and n_kills < KILLS else None)
            if process.exitcode is not None:
                break
            process.kill()
            process.join()
            n_kills += 1
    assert n_kills == KILLS
    assert outcomes(killed, dataset, start) == outcomes(undisturbed, dataset, start)
    assert len(starts_of(killed)) <= N_TRIALS + KILLS
