"""Studies: trials of a search that is resumed, ended early or failed; what is calculated stands in for a training."""

import random

import pytest

from schemas.errors import InputError, TrainingError
from tasks.tuning import open_study, trial
from tasks.tuning.confirmation import finalists
from tasks.tuning.study import Study

N_TRIALS, ROUND = 24, 2


def search(folder, dataset, start, *, kills=0, round_size=ROUND):
    """Run a study in rounds; a kill loses a trial and the rest of its round. Return it and the number of trials run."""
    dice, n_run = random.Random(7), 0  # noqa: S311, no secret
    while True:
        study = Study(folder, dataset, start, round_size)  # opened again after each kill
        for numbers in study.rounds(N_TRIALS):
            for number in dice.sample(numbers, len(numbers)):  # in whatever order the workers finish
                finished = trial.run(dataset, start, study.earlier(number), number)
                n_run += 1
                if kills and dice.random() < 0.4:
                    kills -= 1
                    break
                study.add(finished)
            else:
                continue
            break
        else:
            return study, n_run


def outcomes(study):
    return [(one.number, one.state, one.recipe, one.accuracy) for one in study.trials(N_TRIALS)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny, start, calculated):
    """Run a study without a kill; return it, the number of trials run, and the number of epochs."""
    n_before = len(calculated)
    study, n_run = search(tmp_path_factory.mktemp("undisturbed"), tiny, start)
    return study, n_run, len(calculated) - n_before


def test_study_that_was_killed_ten_times_has_the_same_trials(tmp_path, tiny, start, calculated, undisturbed):
    killed, n_killed = search(tmp_path, tiny, start, kills=10)
    assert outcomes(killed) == outcomes(undisturbed[0])
    assert undisturbed[1] == N_TRIALS
    assert n_killed <= N_TRIALS + 10  # each kill loses one trial


def test_study_starts_with_the_starting_recipe_and_finds_a_better_one(start, undisturbed):
    study, *_ = undisturbed
    trials = study.trials(N_TRIALS)
    assert trials[0].recipe == start
    assert max(one.accuracy or 0 for one in trials) > trials[0].accuracy
    assert next(iter(study.importance())) == "rotation"


def test_failed_trial_is_kept_with_its_reason(undisturbed):
    study, *_ = undisturbed
    failed = [one for one in study.trials(N_TRIALS) if one.state == "failed"]
    assert failed
    assert {(one.accuracy, one.fault) for one in failed} == {(None, "the loss is no longer finite")}


def test_poor_trials_are_ended_early_after_a_few_epochs(undisturbed):
    study, _, n_epochs = undisturbed
    pruned = [one for one in study.trials(N_TRIALS) if one.state == "pruned"]
    assert pruned
    assert all(one.number >= trial.N_RANDOM for one in pruned)
    assert n_epochs < sum(one.recipe.epochs for one in study.trials(N_TRIALS) if one.state != "failed")


def test_other_data_recipe_or_number_of_workers_is_another_study(tmp_path, tiny, start):
    others = [Study(tmp_path, tiny, start, 2), Study(tmp_path, tiny, start.model_copy(update={"seed": 1}), 2)]
    others += [Study(tmp_path, tiny, start, 3)]
    assert len({study.name for study in others}) == 3
    assert Study(tmp_path, tiny, start, 2).name == others[0].name


@pytest.mark.parametrize("n_trials", [3, 5])
def test_more_trials_continue_a_study(tmp_path, tiny, start, calculated, n_trials):
    study = Study(tmp_path, tiny, start, 2)
    for numbers in study.rounds(3):
        for number in numbers:
            study.add(trial.run(tiny, start, study.earlier(number), number))
    assert list(study.rounds(n_trials)) == {3: [], 5: [[3], [4]]}[n_trials]


def test_trial_whose_process_ends_is_a_failed_one(tmp_path, tiny, start):
    class DeadWorkers:
        def run(self, *_arguments):
            raise TrainingError("its process ended")

    study = Study(tmp_path, tiny, start, 1)
    study.run(0, DeadWorkers())
    (failed,) = study.trials(1)
    assert (failed.state, failed.fault) == ("failed", "its process ended")
    assert not list(study.rounds(1))
    with pytest.raises(TrainingError, match="no trial was completed: its process ended"):
        finalists(study.trials(1), start)


@pytest.mark.usefixtures("calculated")
def test_studies_of_one_database_are_kept_apart_and_resumed(tmp_path, tiny, start):
    database = f"sqlite:///{tmp_path}/studies.db"
    other = start.model_copy(update={"seed": 1})
    for recipe in (start, other):
        study = Study(database, tiny, recipe, 1)
        study.add(trial.run(tiny, recipe, [], 0))
    assert [Study(database, tiny, recipe, 1).trials(9)[0].recipe for recipe in (start, other)] == [start, other]


@pytest.mark.parametrize(
    "database",
    [
        "sqlite:////no/such/folder/studies.db",
        "nonsense",
        "mariadb+nodriver://user:secret@127.0.0.1/studies",
        "postgresql://user:secret@127.0.0.1:port/studies",
        "redis://user:secret@127.0.0.1/studies",
    ],
)
def test_database_that_cannot_be_used_is_one_line_without_its_password(tiny, start, database):
    with pytest.raises(InputError, match="the database for studies can't be used: ") as raised:
        Study(database, tiny, start, 1)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_missing_optuna_names_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(open_study.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"flows/tune_flow\.py: Optuna isn't installed; install it with pip"):
        open_study.check(str(tmp_path))
