"""Labels that mean other digits, or nothing, are refused; right labels pass, whatever the handwriting."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.preprocessing import minmax_scale

from artifacts.reports import markdown, validation_report
from schemas.images import InMemoryImages, of_frame
from schemas.pixel_frame import labelled_frame, labels_of, pixels_of
from schemas.results import RawDataset
from schemas.rules import DEFAULT_RULES, Rules
from tasks.sources import datasets
from tasks.validation import inspection, labels, profiles

REFERENCE = profiles.load_embedded()
CHECKER = labels.LabelChecker(REFERENCE)
DIGITS = np.arange(10)


@pytest.fixture(scope="module")
def five_hundred():
    """Return a pixel frame of 500 MNIST digits."""
    frame = datasets.load("mnist", None, DEFAULT_RULES).test
    return frame.iloc[:500]


def cycles():
    """Return all permutations that swap two digits, cycle three, or shift all by one."""
    groups = [*combinations(range(10), 2), *combinations(range(10), 3)]
    for group in (
        groups + [group[::-1] for group in groups if len(group) > 2] + [tuple(range(10)), tuple(range(9, -1, -1))]
    ):
        permutation = DIGITS.copy()
        permutation[list(group)] = np.roll(group, -1)
        yield permutation


def relabelled(frame, new_labels):
    return labelled_frame(pixels_of(frame), np.asarray(new_labels, np.uint8))


def inspect(frame, champion=None, **rules):
    raw = RawDataset("made", frame, None)
    return inspection.inspect(raw, Rules(**{"min_test_rows": 10} | rules), REFERENCE, champion=champion)


def some_random(frame, share):
    random = np.random.default_rng(3)
    is_random = random.random(len(frame)) < share
    return relabelled(frame, np.where(is_random, random.integers(0, 10, len(frame)), labels_of(frame)))


def test_every_swap_three_cycle_and_shift_is_found(five_hundred):
    scores = (pixels_of(five_hundred) - REFERENCE.mean) @ REFERENCE.components.T
    predicted = labels.nearest_mean(REFERENCE)(scores)
    permutations = list(cycles())
    assert len(permutations) == 45 + 240 + 2
    assert labels.find_mix_up(labels_of(five_hundred), predicted) is None
    for permutation in permutations:
        digits = labels.find_mix_up(permutation[labels_of(five_hundred)], predicted)
        assert digits == tuple(np.argsort(permutation)), permutation


@pytest.mark.parametrize(
    ("permutation", "message", "relabel"),
    [
        ([*range(1, 10), 0], "0→1, 1→2", "0=9,1=0,2=1,3=2,4=3,5=4,6=5,7=6,8=7,9=8"),
        ([0, 7, 2, 3, 4, 5, 6, 1, 8, 9], "1→7, 7→1", "1=7,7=1"),
        ([10, *range(1, 10)], "labels look shifted, 0→10 (digit→label)", "10=0"),
        (range(1, 11), "8→9, 9→10", "1=0,2=1,3=2,4=3,5=4,6=5,7=6,8=7,9=8,10=9"),
    ],
)
def test_shifted_labels_are_refused_and_relabel_repairs_them(five_hundred, permutation, message, relabel):
    wrong = relabelled(five_hundred, np.array(permutation)[labels_of(five_hundred)])
    validation, dataset = inspect(wrong)
    assert dataset is None
    (error,) = [error for error in validation.errors if error.check == "labels"]
    assert message in error.message
    assert error.message.endswith(f": --relabel {relabel}")
    assert inspect(wrong, relabel=relabel)[1].fingerprint == inspect(five_hundred)[1].fingerprint


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_random_labels_are_refused_unless_the_rules_only_warn(five_hundred, share):
    wrong = some_random(five_hundred, share)
    validation, dataset = inspect(wrong)
    assert dataset is None
    (error,) = validation.errors
    assert "of the labels look random; --wrong-labels warning trains anyway" in error.message
    assert inspect(wrong, wrong_labels="warning")[1] is not None


def test_agreement_of_the_champion_is_reported_for_each_part(five_hundred):
    wrong = relabelled(five_hundred, np.roll(DIGITS, -1)[labels_of(five_hundred)])
    known = {bytes(row): label for row, label in zip(pixels_of(five_hundred), labels_of(five_hundred), strict=True)}
    validation, _ = inspect(wrong, champion=lambda pixels: np.array([known[bytes(row)] for row in pixels]))
    assert "the champion agrees with 0% of these labels" in validation.errors[0].message
    assert {part: value.champion for part, value in validation.label_agreement.items()} == {"train": 0, "test": 0}
    report = validation_report.validation_report(validation, markdown.as_links, None)
    n_rows, means = len(five_hundred) - validation.n_valid["test"], validation.label_agreement["train"].reference
    assert f"| train | {n_rows} | {means:.1%} | 0.0% |" in report


@pytest.mark.parametrize("n_rows", [100, 200, 500, 1797])
def test_right_labels_of_another_handwriting_pass(n_rows):
    pixels, targets = load_digits(return_X_y=True)
    enlarged = minmax_scale(pixels.ravel(), (0, 255)).reshape(-1, 8, 8).repeat(3, 1).repeat(3, 2)
    images = np.pad(enlarged, ((0, 0), (2, 2), (2, 2))).astype(np.uint8).reshape(-1, 784)
    agreement = CHECKER.measure(InMemoryImages(images[:n_rows], targets[:n_rows].astype(np.uint8)))
    assert labels.fault(agreement) == ""


def test_leave_one_out_equals_training_without_the_row():
    random = np.random.default_rng(0)
    scores, targets = random.normal(size=(100, 5)), np.eye(3)[random.integers(0, 3, 100)]
    regression = Ridge(labels.PENALTY_ROWS * scores.var(axis=0).mean())
    for row, predicted in enumerate(labels.leave_one_out(scores, targets)):
        regression.fit(np.delete(scores, row, axis=0), np.delete(targets, row, axis=0))
        assert regression.predict(scores[row : row + 1]) == pytest.approx(predicted[None])


@pytest.mark.parametrize("n_rows", [50, 200, 1000])
def test_right_labels_of_mnist_samples_pass(n_rows):
    frame = datasets.load("mnist", None, DEFAULT_RULES).test
    for start in range(0, 5000, 1000):
        assert labels.fault(CHECKER.measure(of_frame(frame.iloc[start : start + n_rows]))) == ""
