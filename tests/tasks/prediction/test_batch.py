"""Answers and what they come to, by a stand-in for a network: how trust is told, and that batches add up."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts import predictions
from schemas.pixel_frame import pixels_of
from schemas.prediction import Predictor
from schemas.rules import DEFAULT_INPUT_RULES
from tasks.prediction.batch import answer
from tasks.prediction.stats import PredictionStats
from tasks.validation import profiles


def by_ink(pixels):
    """Answer by the mean ink: any rule will do that depends on the image alone."""
    logits = np.cos(np.outer(pixels.mean(axis=1), np.arange(1, 11))) * 4
    return (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)


PREDICTOR = Predictor(version=3, threshold=0.5, profile=profiles.embedded(), probabilities=by_ink)


def tallied(frame, *sizes, predictor=PREDICTOR):
    tally = PredictionStats(predictor)
    start = 0
    for size in (*sizes, len(frame)):
        if start < len(frame):
            tally.add(*answer(frame.iloc[start : start + size], predictor, ()))
        start += size
    return tally.result("rows", "out.csv", DEFAULT_INPUT_RULES, 1.0)


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 150), max_size=5))
def test_batches_of_any_size_come_to_the_same(sizes, digits):
    spoilt = digits.astype(float)
    spoilt.iloc[::37, 300] = np.nan
    one, many = tallied(spoilt), tallied(spoilt, *sizes)
    for name in ("labels", "abstained", "confidences"):
        assert np.array_equal(getattr(one, name), getattr(many, name)), name
    assert one.unanswered == many.unanswered == {"pixel missing": 11}
    assert one.unlike_training == many.unlike_training
    assert [d.value for d in one.drifts] == pytest.approx([d.value for d in many.drifts])
    assert [e.item for e in one.least_sure] == [e.item for e in many.least_sure]
    assert np.array_equal(one.score.confusion_matrix, many.score.confusion_matrix)
    np.testing.assert_allclose(one.class_means, many.class_means, rtol=1e-5)


def test_the_answer_is_the_likeliest_class_and_the_second_the_next(digits):
    answers, _ = answer(digits, PREDICTOR, ())
    order = np.argsort(by_ink(pixels_of(digits)), axis=1)
    assert answers.label.tolist() == order[:, -1].tolist()
    assert answers.second.tolist() == order[:, -2].tolist()
    assert (answers.abstained == (answers.confidence < 0.5)).all()
    assert 0 < answers.abstained.sum() < len(digits)


def test_without_a_threshold_it_abstains_from_all(digits):
    without = Predictor(1, None, PREDICTOR.profile, by_ink)
    answers, _ = answer(digits, without, ())
    assert answers.abstained.all()
    assert tallied(digits, predictor=without).score.answered.accuracy is None


UNLIKE = {
    "inverted": lambda x: 255 - x,
    "noise": lambda x: np.random.default_rng(0).integers(0, 256, x.shape),
    "salt": lambda x: np.where(np.random.default_rng(0).random(x.shape) < 0.05, 255, x),
    "two digits over one another": lambda x: np.maximum(np.roll(x, 6, 1), np.roll(x[::-1], -6, 1)),
}


@pytest.mark.parametrize("kind", UNLIKE)
def test_images_unlike_the_training_images_are_flagged(kind, digits):
    frame = digits.copy()
    frame.iloc[:, 1:] = UNLIKE[kind](pixels_of(digits)).astype(np.uint8)
    answers, _ = answer(frame, PREDICTOR, ())
    assert answers.unlike_training.mean() > 0.9


def test_training_images_are_not(digits):
    assert answer(digits, PREDICTOR, ())[0].unlike_training.mean() < 0.01


@pytest.mark.parametrize("suffix", predictions.SUFFIXES)
def test_the_file_holds_every_batch_in_order(suffix, digits, tmp_path):
    path = tmp_path / f"out{suffix}"
    with predictions.writer(path) as write:
        for start in (0, 100, 200, 300):
            write(answer(digits.iloc[start : start + 100], PREDICTOR, ())[0])
    rows = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path)
    assert rows["item"].astype(int).tolist() == digits.index.tolist()
    np.testing.assert_allclose(rows["confidence"], by_ink(pixels_of(digits)).max(axis=1))


def test_a_run_that_ends_early_leaves_nothing(digits, tmp_path):
    def interrupted():
        with predictions.writer(tmp_path / "out.csv") as write:
            write(answer(digits, PREDICTOR, ())[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
