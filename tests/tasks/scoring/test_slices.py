"""Slices of the test rows: what is measured of an image, and which rows a slice has."""

from types import SimpleNamespace

import numpy as np
import pytest

from schemas.images import InMemoryImages
from schemas.slices import Division
from tasks.scoring import slices
from tasks.scoring.measures import MEASURES, SLICED
from tasks.validation import profiles

FUNCTIONS = {measure.name: measure.function for measure in MEASURES}


def bar(width=4, length=16, lean=0.0):
    """Return an image of an upright bar, float, 1 × 784; it leans to the right by some pixels a row."""
    y, x = np.mgrid[:28, :28]
    across = x - 13.5 - lean * (13.5 - y)
    inside = (np.abs(across) < width / 2) & (np.abs(y - 13.5) < length / 2)
    return inside.astype(np.float32).reshape(1, -1) * 255


@pytest.mark.parametrize(
    ("measure", "low", "high"),
    [
        ("stroke thickness", bar(width=2), bar(width=4)),
        ("slant", bar(lean=-0.4), bar(lean=0.4)),
        ("ink", bar(length=8), bar(length=16)),
        ("size", bar(length=8), bar(length=16)),
    ],
)
def test_a_measure_grows_with_what_it_is_named_after(measure, low, high):
    assert FUNCTIONS[measure](low) < FUNCTIONS[measure](high)


def test_thickness_and_slant_are_those_of_a_bar():
    assert FUNCTIONS["stroke thickness"](bar(width=2, length=24))[0] == pytest.approx(2, rel=0.15)
    assert FUNCTIONS["slant"](bar(lean=0.4))[0] == pytest.approx(0.4, abs=0.05)


def test_quantiles_of_the_training_rows_divide_the_test_rows():
    widths = np.concatenate([bar(width) for width in (2, 4, 6, 8)]).astype(np.uint8)
    train = InMemoryImages(np.repeat(widths, 25, axis=0), np.zeros(100, np.uint8))
    test = InMemoryImages(widths[[3, 0]], np.array([1, 7], np.uint8))
    origin = Division("file", ("a", "b"), np.array([0, 1]))
    dataset = SimpleNamespace(profile=profiles.fit_profile(train, "bars"), test=test, test_origin=origin)
    by_name = {each.name: each for each in slices.divide(dataset)}
    assert [*by_name] == ["digit", "file", *(measure.name for measure in SLICED)]
    thickness = by_name["stroke thickness"]
    assert [thickness.slices[number] for number in thickness.numbers] == ["thickest", "thinnest"]


def test_each_slice_with_rows_has_its_accuracy():
    division = Division("ink", ("least", "most", "none"), np.array([0, 0, 1, 1]))
    metrics = slices.metrics([division], np.array([True, False, True, True]))
    assert [(one.slice, one.n_rows, one.accuracy) for one in metrics] == [("least", 2, 0.5), ("most", 2, 1.0)]
    assert metrics[0].interval == pytest.approx((0.0945, 0.9055), abs=1e-4)
