"""Predictions of a batch, their totals and their file, with a function in place of a network."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts import predictions, predictions_table
from schemas.errors import InputError
from schemas.pixel_frame import pixels_of
from schemas.rules import DEFAULT_INPUT_RULES
from tasks.prediction.stats import PredictionStats
from tasks.prediction.stream import predict_batch


def totals(frame, predictor, *sizes):
    stats = PredictionStats(predictor)
    start = 0
    for size in (*sizes, len(frame)):
        if start < len(frame):
            stats.add(*predict_batch(frame.iloc[start : start + size], predictor, ()))
        start += size
    return stats.result("rows", "out.csv", DEFAULT_INPUT_RULES, 1.0)


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 150), max_size=5))
def test_totals_dont_depend_on_the_batch_size(sizes, digits, predictor):
    frame = digits.astype(float)
    frame.iloc[::37, 300] = np.nan
    one, many = totals(frame, predictor), totals(frame, predictor, *sizes)
    for name in ("labels", "abstained", "confidences"):
        assert np.array_equal(getattr(one, name), getattr(many, name)), name
    assert one.invalid == many.invalid == {"pixel missing": 11}
    assert one.unlike_training == many.unlike_training
    assert [d.value for d in one.drifts] == pytest.approx([d.value for d in many.drifts])
    assert [e.item for e in one.least_confident] == [e.item for e in many.least_confident]
    assert np.array_equal(one.score.confusion_matrix, many.score.confusion_matrix)
    np.testing.assert_allclose(one.class_means, many.class_means, rtol=1e-5)


def test_label_and_second_are_the_two_most_probable_classes(digits, predictor):
    batch, _ = predict_batch(digits, predictor, ())
    order = np.argsort(predictor.probabilities(pixels_of(digits)), axis=1)
    assert batch.label.tolist() == order[:, -1].tolist()
    assert batch.second.tolist() == order[:, -2].tolist()
    assert (batch.abstained == (batch.confidence < 0.5)).all()
    assert 0 < batch.abstained.sum() < len(digits)


def test_doubtful_answers_have_a_reason_and_others_none(digits, predictor):
    frame = digits.iloc[:100].copy()
    frame.iloc[0, 1:] = 0  # blank
    batch, _ = predict_batch(frame, predictor, ())
    assert batch.reason[0] == "blank: no pixel reaches 64: no ink"
    assert (batch.reason != "").tolist() == (batch.abstained | batch.unlike_training).tolist()
    assert "less than the 50 % needed" in batch.reason[np.flatnonzero(batch.abstained)[1]]


def test_a_version_without_a_threshold_abstains_from_all(digits, predictor):
    without = dataclasses.replace(predictor, threshold=None)
    batch, _ = predict_batch(digits, without, ())
    assert batch.abstained.all()
    assert totals(digits, without).score.abstention.accuracy is None


UNLIKE = {
    "inverted": lambda x: 255 - x,
    "noise": lambda x: np.random.default_rng(0).integers(0, 256, x.shape),
    "salt": lambda x: np.where(np.random.default_rng(0).random(x.shape) < 0.05, 255, x),
    "two digits over one another": lambda x: np.maximum(np.roll(x, 6, 1), np.roll(x[::-1], -6, 1)),
}


@pytest.mark.parametrize("change", UNLIKE)
def test_images_unlike_the_training_images_are_flagged(change, digits, predictor):
    frame = digits.copy()
    frame.iloc[:, 1:] = UNLIKE[change](pixels_of(digits)).astype(np.uint8)
    batch, _ = predict_batch(frame, predictor, ())
    assert batch.unlike_training.mean() > 0.9


def test_training_images_arent_flagged_as_unlike(digits, predictor):
    assert predict_batch(digits, predictor, ())[0].unlike_training.mean() < 0.01


@pytest.mark.parametrize("suffix", predictions.SUFFIXES)
def test_the_predictions_file_has_all_batches_in_order(suffix, digits, predictor, tmp_path):
    path = tmp_path / f"out{suffix}"
    with predictions_table.writer(path) as write:
        for start in (0, 100, 200, 300):
            write(predict_batch(digits.iloc[start : start + 100], predictor, ())[0])
    rows = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path)
    assert list(rows.columns) == ["item", "label", "confidence", "second", "abstained", "unlike_training", "reason"]
    assert rows["item"].astype(int).tolist() == digits.index.tolist()
    np.testing.assert_allclose(rows["confidence"], predictor.probabilities(pixels_of(digits)).max(axis=1))


def test_an_interrupted_run_leaves_no_predictions_file(digits, predictor, tmp_path):
    def interrupted():
        with predictions_table.writer(tmp_path / "out.csv") as write:
            write(predict_batch(digits, predictor, ())[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.txt", "gone/out.csv"])
def test_an_output_that_cant_be_written_is_refused(name, tmp_path):
    with pytest.raises(InputError, match=r"--output .*: (must end with \.csv or \.parquet|can't be written)"):
        predictions_table.writer(tmp_path / name).__enter__()
