"""Confirmation of the best recipes; what is calculated stands in for a training."""

import pytest

from schemas.errors import TrainingError
from schemas.tuning import Trial
from tasks.tuning import confirmation
from tasks.tuning.confirmation import confirm
from tasks.tuning.workers import Workers


class FinishedStudy:
    """A study whose finalists are rotations by 3 degrees, the better one, and by 1 degree."""

    def __init__(self, start):
        self.start = start

    def trials(self, _n_trials):
        rotations = enumerate((3, 1))
        recipes = ((number, self.start.model_copy(update={"rotation": degrees})) for number, degrees in rotations)
        return tuple(Trial(number, "complete", recipe, 0.9 - number / 10) for number, recipe in recipes)

    def importance(self):
        return {}


@pytest.fixture
def confirmed(tiny, start, monkeypatch):
    """Confirm with a function of recipe for the held-out accuracy, from which the test part's follows."""

    def confirm_with(accuracy, seed=0):
        monkeypatch.setattr(confirmation, "held_out_accuracy", lambda _, recipe: accuracy(recipe))
        monkeypatch.setattr(confirmation, "right_on_test", lambda data, r: data.test.labels < 10 * accuracy(r))
        study = FinishedStudy(start.model_copy(update={"rotation": 0.0, "seed": seed}))
        with Workers(tiny, 1) as workers:
            return confirm(tiny, study, workers, 2, "tuned.toml")

    return confirm_with


def test_finalist_whose_training_fails_drops_out_of_the_search(confirmed):
    def accuracy(recipe):
        if recipe.rotation == 3 and recipe.seed == 2:
            raise TrainingError("no better than guessing")
        return 0.5 + recipe.rotation / 10

    tuning = confirmed(accuracy)
    assert tuning.winner.rotation == 1
    assert tuning.confirmed[1][1] == (0.8, 0.0, 0.8)
    assert tuning.test.gain > 0


def test_seeds_after_the_highest_one_start_again_at_zero(confirmed):
    assert confirmed(lambda _: 0.5, seed=2**31 - 2).seeds == (2**31 - 1, 0, 1)
