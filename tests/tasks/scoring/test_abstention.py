"""The abstention threshold: what it claims is true, and it is chosen by what can be proven."""

import numpy as np
import pytest

from schemas.abstention import MIN_PROOF_ROWS, AbstentionThreshold
from tasks.scoring.metrics import abstention_threshold, measure_abstention


def probabilities_of(confidences, wrong=()):
    """Return probabilities that predict class 0 with these confidences, and class 1 in the wrong rows."""
    probabilities = np.repeat(((1 - np.asarray(confidences)) / 9)[:, None], 10, axis=1).astype(np.float32)
    predicted = np.zeros(len(probabilities), int)
    predicted[list(wrong)] = 1
    probabilities[np.arange(len(probabilities)), predicted] = confidences
    return probabilities


CONFIDENCES = np.linspace(0.99, 0.5, 3000)
SCORES = {
    "calibrated": lambda confidence: confidence,
    "overconfident": lambda confidence: 0.5 + 0.95 * (confidence - 0.5),
    "uninformative": lambda confidence: np.full_like(confidence, 0.96),
    "inverted": lambda confidence: 1 - 0.1 * confidence,
}


@pytest.mark.parametrize("n_rows", [50, 200, 1000])
@pytest.mark.parametrize("name", SCORES)
def test_the_proven_accuracy_is_true_in_19_of_20_cases(name, n_rows):
    random = np.random.default_rng([n_rows, list(SCORES).index(name)])

    def draw(n_rows):
        confidence = np.float32(1) - np.float32(0.45) * random.random(n_rows, np.float32) ** 8
        return confidence, SCORES[name](confidence)

    population, chances = draw(200_000)
    order = np.argsort(-population)
    true_accuracy = np.cumsum(chances[order]) / np.arange(1, len(order) + 1)
    n_false = 0
    for _ in range(300):
        confidence, chance = draw(n_rows)
        wrong = np.flatnonzero(random.random(n_rows) > chance)
        chosen = abstention_threshold(probabilities_of(confidence, wrong), np.zeros(n_rows, int))
        if chosen.value is not None:
            n_accepted = np.searchsorted(-population[order], -chosen.value, side="right")
            n_false += true_accuracy[n_accepted - 1] < chosen.level
    assert n_false <= 15 + 3 * np.sqrt(15)  # three standard errors above 5 %


@pytest.mark.parametrize(
    ("wrong", "n_accepted", "level"),
    [
        ((), 3000, 0.995),
        (range(2960, 2980), 2940, 0.995),
        (range(2700, 2740), 2700, 0.995),
        (range(1500, 1600), 1500, 0.995),
        (range(0, 3000, 100), 3000, 0.98),
        (range(0, 3000, 5), None, None),
    ],
)
def test_the_highest_provable_level_is_chosen_then_the_most_rows(wrong, n_accepted, level):
    probabilities = probabilities_of(CONFIDENCES, wrong)
    chosen = abstention_threshold(probabilities, np.zeros(3000, int))
    abstention = measure_abstention(chosen, probabilities, np.zeros(3000, int))
    assert (chosen.level, abstention.level) == (level, level)
    assert abstention.coverage == ((n_accepted or 0) / 3000)


def test_few_rows_prove_little_even_without_a_mistake():
    n_rows = (MIN_PROOF_ROWS - 1, MIN_PROOF_ROWS, 500)
    levels = [abstention_threshold(probabilities_of(np.full(n, 0.9)), np.zeros(n, int)).level for n in n_rows]
    assert levels == [None, 0.9, 0.99]


def test_coverage_and_accuracy_are_those_at_or_above_the_threshold():
    chosen = AbstentionThreshold(0.8, 0.9)
    abstention = measure_abstention(chosen, probabilities_of([0.9, 0.85, 0.7, 0.6], wrong=[1, 3]), np.zeros(4, int))
    assert (abstention.threshold, abstention.coverage, abstention.accuracy, abstention.level) == (0.8, 0.5, 0.5, 0.9)


def test_rows_of_equal_confidence_are_accepted_together_or_not_at_all():
    probabilities = probabilities_of(np.full(2000, 0.9), wrong=range(1999, 1500, -1))
    assert abstention_threshold(probabilities, np.zeros(2000, int)).value is None


def test_without_held_out_rows_there_is_no_threshold():
    assert abstention_threshold(np.empty((0, 10), np.float32), np.empty(0, int)) == (None, None)


def test_without_a_threshold_no_row_is_accepted():
    abstention = measure_abstention(AbstentionThreshold(), probabilities_of([0.9, 0.8]), np.zeros(2, int))
    assert (abstention.threshold, abstention.coverage, abstention.accuracy) == (None, 0, None)
