"""The pixel frame's schemas: what they accept, and what they say of what they don't."""

import numpy as np
import pandas as pd
import pytest

from schemas.errors import InputError
from schemas.pixel_frame import LABELLED, UNLABELLED, labelled_frame, labels_of, pixels_of, validate


@pytest.fixture
def frame() -> pd.DataFrame:
    pixels = np.arange(3 * 784, dtype=np.uint16).astype(np.uint8).reshape(3, 28, 28)
    return labelled_frame(pixels, np.array([0, 5, 9], np.uint8))


def test_accepts_a_labelled_frame(frame):
    validate(LABELLED, frame, "rows")


def test_accepts_an_unlabelled_frame(frame):
    validate(UNLABELLED, frame.drop(columns="label"), "rows")


def test_frame_is_row_major_and_shares_its_memory(frame):
    assert frame["pixel29"].tolist() == [29, (784 + 29) % 256, (2 * 784 + 29) % 256]
    assert labels_of(frame).tolist() == [0, 5, 9]
    assert np.shares_memory(pixels_of(frame), frame.to_numpy())


def faults() -> dict[str, tuple]:
    """Return, by name, functions that damage a frame, and what the message must hold."""
    return {
        "reordered": (
            lambda f: f[[*f.columns[:1], "pixel1", "pixel0", *f.columns[3:]]],
            "'pixel1' in place of 'pixel0'",
        ),
        "renamed": (lambda f: f.rename(columns={"pixel7": "seven"}), "'seven' in place of 'pixel7' as column 9 of 785"),
        "too few": (lambda f: f.iloc[:, :700], "700 columns"),
        "too many": (lambda f: f.assign(extra=np.uint8(1)), "786 columns"),
        "unlabelled": (lambda f: f.drop(columns="label"), "'pixel0' in place of 'label' as column 1 of 784"),
        "float": (lambda f: f.astype({"pixel3": float}), "pixel3 of float64"),
        "text": (lambda f: f.astype({"pixel3": str}), "pixel3 of str"),
        "null": (lambda f: f.astype({"pixel3": float}).replace({"pixel3": {3.0: np.nan}}), "pixel3 of float64"),
        "label": (lambda f: f.assign(label=np.array([1, 10, 11], np.uint8)), "2 others, the first of them 10 in row 1"),
        "empty": (lambda f: f.iloc[:0], "at least one row"),
    }


@pytest.mark.parametrize("name", faults())
def test_invalid_frame_is_refused_with_the_fault_and_its_place(frame, name):
    damage, expected = faults()[name]
    with pytest.raises(InputError) as caught:
        validate(LABELLED, damage(frame), "some.csv")
    message = str(caught.value)
    assert message.startswith("some.csv: ")
    assert expected in message
    assert "\n" not in message


def test_one_report_tells_every_fault(frame):
    damaged = (
        frame.assign(label=np.array([1, 10, 3], np.uint8)).rename(columns={"pixel5": "five"}).astype({"pixel6": int})
    )
    with pytest.raises(InputError) as caught:
        validate(LABELLED, damaged, "rows")
    assert all(part in str(caught.value) for part in ("'five'", "pixel6 of int64", "10 in row 1"))


def test_refuses_a_label_in_an_unlabelled_frame(frame):
    with pytest.raises(InputError, match="785"):
        validate(UNLABELLED, frame, "rows")
