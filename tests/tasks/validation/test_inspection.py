"""Validation: bad rows are quarantined, wrong data is refused with the repair, drift is measured."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
import source_files
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import ROOT, accepted

from schemas import images
from schemas.errors import StoreError
from schemas.pixel_frame import labelled_frame, labels_of, pixels_of
from schemas.results import RawDataset
from schemas.rules import DEFAULT_RULES, Rules
from tasks.sources import datasets
from tasks.validation import inspection, profiles, row_faults
from tasks.validation.drift import drifts
from tasks.validation.repairs import TURNS

REFERENCE = profiles.load_embedded()
INVERSE_TURNS = {"rotate90": "rotate270", "rotate270": "rotate90"}


def inspect(train, test=None, **rules):
    return inspection.inspect(RawDataset("made", train, test), Rules(**{"min_test_rows": 10} | rules), REFERENCE)


@pytest.fixture(scope="module")
def mnist():
    return accepted("mnist")


@pytest.fixture(scope="module")
def frames():
    """Return MNIST as frames."""
    return datasets.load("mnist", None, DEFAULT_RULES)


@pytest.fixture(scope="module")
def fashion():
    """Return the first thousand test images of Fashion-MNIST."""
    return datasets.load(str(ROOT / "tests" / "data" / "fashion-mnist-1000.npz"), None, DEFAULT_RULES).train


def split_off(frame, rules):
    return inspection.select_test_rows(row_faults.digests(pixels_of(frame)), rules)


def images_of(frame):
    return pixels_of(frame).reshape(-1, 28, 28)


def test_no_row_of_mnist_is_quarantined(mnist):
    """MNIST holds no duplicates, leaks or blanks: every quarantined row would be a good one."""
    assert mnist.validation.n_valid == mnist.validation.n_input == {"train": 60_000, "test": 10_000}
    assert mnist.validation.quarantined.empty
    assert mnist.validation.findings == ()


WRONG = [
    ("pixel missing", np.nan),
    ("pixel not finite", np.inf),
    ("pixel not finite", -np.inf),
    ("pixel not whole", 0.5),
    *(("pixel out of range", value) for value in (-1.0, 256.0, 1e9, -1e-9)),
]
WRONG_LABELS = [("label missing", np.nan), *(("label unknown", value) for value in (-1, 10, 3.5, np.inf))]


@pytest.mark.parametrize(("reason", "value"), WRONG)
@settings(max_examples=3, deadline=None)
@given(row=st.integers(0, 399), column=st.integers(1, 784))
def test_row_with_any_wrong_pixel_is_quarantined_unchanged(digits, row, column, reason, value):
    frame = digits.astype(float)
    frame.iloc[row, column] = value
    validation, dataset = inspect(frame)
    assert dataset is not None, "one row of 400 is within the budget"
    (caught,) = validation.quarantined.itertuples()
    assert (caught.part, caught.item) == ("train", str(row))
    assert reason in caught.reasons.split("; ")
    quarantined = validation.quarantined.iloc[0, 3:].astype(float).to_numpy()
    assert np.array_equal(quarantined, frame.iloc[row].to_numpy(), equal_nan=True)
    assert sum(validation.n_valid.values()) == 399


@pytest.mark.parametrize(("reason", "value"), WRONG_LABELS)
@settings(max_examples=3, deadline=None)
@given(row=st.integers(0, 399))
def test_row_with_any_wrong_label_is_quarantined(digits, row, reason, value):
    frame = digits.astype(float)
    frame.iloc[row, 0] = value
    (caught,) = inspect(frame)[0].quarantined.itertuples()
    assert (caught.item, caught.reasons) == (str(row), reason)


def test_input_frames_are_not_changed(digits):
    frame = digits.copy()
    before = frame.copy()
    inspect(frame, repair=("invert", "transpose"))
    assert frame.equals(before)


def test_budget_applies_to_each_part(digits):
    test = digits.iloc[200:].astype(float)
    test.iloc[:3, 5] = np.nan
    validation, dataset = inspect(digits.iloc[:200], test)
    assert dataset is None
    assert [finding.check for finding in validation.errors] == ["budget"]
    assert "3 of 200 test rows" in validation.errors[0].message
    assert inspect(digits.iloc[:200], test, max_quarantined=0.015)[1] is not None


@pytest.mark.parametrize("turn", TURNS)
def test_turned_images_are_refused_with_the_needed_repair(digits, turn):
    turned = labelled_frame(np.ascontiguousarray(TURNS[turn](images_of(digits))), labels_of(digits))
    validation, dataset = inspect(turned)
    assert dataset is None
    (error,) = validation.errors
    assert error.check == "orientation"
    repair = INVERSE_TURNS.get(turn, turn)
    assert error.message.endswith(f"--repair {repair}")
    _, repaired = inspect(turned, repair=(repair,))
    assert repaired.fingerprint == inspect(digits)[1].fingerprint


@pytest.mark.parametrize(
    ("spoil", "repair"),
    [
        (lambda x: x / 255, ("scale",)),
        (lambda x: x / 127.5 - 1, ("scale",)),
        (lambda x: (x / 255 - 0.1307) / 0.3081, ("scale",)),
        (lambda x: 255 - x, ("invert",)),
        (lambda x: 1 - x / 255, ("scale", "invert")),
    ],
)
def test_wrong_scale_or_polarity_is_refused_with_the_needed_repairs(digits, spoil, repair, tmp_path):
    np.savez(tmp_path / "rows.npz", x=spoil(pixels_of(digits).astype(np.float32)), y=labels_of(digits))
    spoiled = datasets.load(str(tmp_path / "rows.npz"), None, DEFAULT_RULES).train
    validation, dataset = inspect(spoiled)
    assert dataset is None
    assert [error.message.split("--repair ")[1] for error in validation.errors] == list(repair)
    _, repaired = inspect(spoiled, repair=repair)
    assert repaired.fingerprint == inspect(digits)[1].fingerprint


def test_scale_is_repaired_only_in_the_part_that_needs_it(digits):
    train, test = digits.iloc[:200], digits.iloc[200:]
    small = pd.concat([train[["label"]], train.iloc[:, 1:] / 255], axis=1)
    _, repaired = inspect(small, test, repair=("scale",))
    assert repaired.fingerprint == inspect(train, test)[1].fingerprint


def test_some_images_with_bright_ground_cause_a_warning(digits):
    frame = digits.copy()
    frame.iloc[::20, 1:] = 255 - frame.iloc[::20, 1:]
    validation, dataset = inspect(frame)
    assert dataset is not None
    (warning,) = [finding for finding in validation.findings if finding.check == "polarity"]
    assert warning.severity == "warning"
    assert re.fullmatch(r"train part: [3-6]\.\d% of the images are brighter at the border than inside", warning.message)


def test_rare_class_causes_a_warning(frames):
    train = frames.train
    few_threes = np.flatnonzero((labels_of(train) != 3) | (np.arange(len(train)) % 20 == 0))[:20_000]
    validation, dataset = inspect(train.iloc[few_threes], frames.test)
    assert dataset is not None
    (warning, *_) = [f for f in validation.findings if f.check == "classes"]
    assert warning.severity == "warning"
    assert "few training rows of 3 (0." in warning.message


def test_resamples_of_mnist_never_drift(mnist):
    random = np.random.default_rng(7)
    for count in (50, 100, 300, 1000, 5000):
        for _ in range(20):
            sample = mnist.train.take(random.integers(0, 60_000, count))
            counts = profiles.compute_histograms(sample, REFERENCE)
            assert not [d for d in drifts("train", counts, REFERENCE, DEFAULT_RULES) if d.exceeds_threshold]


@pytest.mark.parametrize("rows", [100, 300, 1000])
def test_samples_of_fashion_mnist_always_drift(fashion, rows):
    for start in range(0, 1000, rows):
        counts = profiles.compute_histograms(images.of_frame(fashion.iloc[start : start + rows]), REFERENCE)
        assert {d.name for d in drifts("train", counts, REFERENCE, DEFAULT_RULES) if d.exceeds_threshold} == {
            "ink",
            "shapes",
        }


def test_drift_is_a_warning_or_an_error_by_the_rules(fashion):
    validation, dataset = inspect(fashion)
    assert dataset is not None
    assert {finding.severity for finding in validation.findings} == {"warning"}
    validation, dataset = inspect(fashion, drift="error")
    assert dataset is None
    assert {error.check for error in validation.errors} == {"drift"}
    assert not [finding for finding in validation.findings if finding.check == "orientation"]


def test_shifted_label_shares_are_drift(frames):
    heavy = np.flatnonzero((labels_of(frames.train) != 1) | (np.arange(60_000) % 4 == 0))
    validation, _ = inspect(frames.train.iloc[heavy], frames.test)
    assert [f.message for f in validation.findings if "label shares" in f.message]


def fields_of(profile):
    """Return a profile's fields, its percentiles by the names of their measures."""
    fields = dataclasses.asdict(profile)
    return fields | fields.pop("percentiles")


def test_embedded_profile_matches_the_embedded_mnist(mnist):
    fitted = fields_of(profiles.fit_profile(mnist.train, "mnist"))
    for name, expected in fields_of(REFERENCE).items():
        if name == "name":
            assert expected == "mnist"
        elif name == "components":  # later ones have nearly equal variances and may be rotated
            np.testing.assert_allclose(fitted[name][:8], expected[:8], atol=1e-2)
        elif name.endswith("counts"):
            assert np.abs(fitted[name] - expected).max() <= 30, name  # rounding may move rows over an edge
        else:
            atol = 1e-2 * np.abs(expected).max()
            np.testing.assert_allclose(fitted[name], expected, rtol=1e-2, atol=atol, err_msg=name)


def test_profile_is_read_as_it_was_written(tmp_path, digits):
    from artifacts.store import version_files

    profile = profiles.fit_profile(images.of_frame(digits), "a näme")
    version_files.write_profile(tmp_path / "reference.npz", profile)
    back = fields_of(version_files.read_profile(tmp_path / "reference.npz"))
    for name, value in fields_of(profile).items():
        assert np.array_equal(back[name], value), name


def test_profile_of_another_release_is_refused(tmp_path):
    from artifacts.store import version_files

    np.savez(tmp_path / "reference.npz", ink=np.zeros(3))
    with pytest.raises(StoreError, match=r"reference\.npz: made by another release, its fields are ink$"):
        version_files.read_profile(tmp_path / "reference.npz")


def test_a_sample_of_ordered_digits_has_all_of_them(digits, monkeypatch):
    monkeypatch.setattr(profiles, "MAX_MEASURED_ROWS", 200)
    ordered = digits.sort_values("label", kind="stable").iloc[np.arange(400).reshape(10, 40).T.ravel()]
    histograms = profiles.compute_histograms(images.of_frame(ordered), REFERENCE)
    assert histograms.labels.sum() == 200
    assert histograms.labels.min() > 0


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_profile_can_be_fitted_to_very_few_rows(digits, rows):
    assert profiles.fit_profile(images.of_frame(digits.iloc[:rows]), "few").n_rows == rows


def test_split_takes_about_its_share_of_every_class(frames):
    marked = split_off(frames.train.iloc[:20_000], Rules(test_fraction=0.25))
    shares = np.bincount(labels_of(frames.train)[:20_000][marked]) / np.bincount(labels_of(frames.train)[:20_000])
    np.testing.assert_allclose(shares, 0.25, atol=0.04)


def test_no_row_changes_sides_when_rows_are_shuffled_or_added(frames):
    some, more = frames.train.iloc[:3000], frames.train.iloc[:4500]
    before, after = (split_off(frame, DEFAULT_RULES) for frame in (some, more))
    assert (before == after[:3000]).all()
    backwards = split_off(some[::-1], DEFAULT_RULES)
    assert (backwards[::-1] == before).all()


def test_another_seed_splits_off_other_rows(digits):
    one, other = (split_off(digits, Rules(test_seed=seed)) for seed in (0, 1))
    assert (one != other).any()


def test_split_neither_loses_nor_repeats_a_row(digits):
    _, dataset = inspect(digits)
    assert len(dataset.train) + len(dataset.test) == 400
    assert 40 <= len(dataset.test) <= 80
    both = [*dataset.train.pixels, *dataset.test.pixels]
    assert sorted(map(bytes, both)) == sorted(map(bytes, pixels_of(digits)))


def test_copies_dont_leak_into_a_test_part_that_is_split_off(digits):
    doubled = pd.concat([digits, digits], ignore_index=True)
    validation, dataset = inspect(doubled, max_quarantined=0.5)
    assert set(validation.quarantined["reasons"]) == {"duplicate"}
    assert dataset.fingerprint == inspect(digits)[1].fingerprint


def test_quarantined_rows_can_be_corrected_and_used_as_a_source(digits, tmp_path):
    from artifacts.store.store import Store
    from tasks.validate import _quarantine

    frame = digits.astype(float)
    frame.iloc[4, 0] = 12
    validation, _ = inspect(frame)
    uri = _quarantine(Store(tmp_path), validation, {"quarantine": b""})
    corrected = pd.read_parquet(f"{uri}/rows.parquet")
    assert corrected.loc[0, "reasons"] == "label unknown"
    corrected["label"] = digits.iloc[4, 0]
    corrected.to_csv(tmp_path / "corrected.csv", index=False)
    back = datasets.load(str(tmp_path / "corrected.csv"), None, DEFAULT_RULES).train
    assert (back.to_numpy() == digits.iloc[[4]].to_numpy()).all()


def test_validation_is_plain_json(digits):
    import json

    frame = digits.astype(float)
    frame.iloc[4, 0] = 12
    content = json.loads(json.dumps(inspect(frame)[0].to_dict()))
    assert content["rows"] == {
        "input": {"train": 400},
        "valid": {"train": 347, "test": 52},
        "quarantined": {"label unknown": {"train": 1}},
    }
    assert {drift["name"] for drift in content["drift"]} == {"label shares", "ink", "shapes"}


def test_quarantined_pictures_keep_their_names(digits, tmp_path):
    folder = source_files.pictures(digits, tmp_path)
    loaded = datasets.load(str(folder), None, DEFAULT_RULES)
    loaded.train.iloc[3, 1:] = 0
    assert inspect(loaded.train)[0].quarantined["item"].tolist() == [loaded.train.index[3]]
