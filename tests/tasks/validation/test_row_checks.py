"""Row checks: each finds the rows that it is for and no others; a new one is one entry of the registry."""

import numpy as np
import pytest

from artifacts.reports import validation_report
from schemas.results import RawDataset
from schemas.row_checks import ROW_CHECKS, RowCheck, ValidRows
from schemas.rules import Rules
from tasks.validation import inspection, profiles

ROW, EARLIER, FIRST_TEST = 300, 200, 350
"""The row that an example takes the place of, the row that copies are made of, the first row of the test part."""


def inspect(frame):
    raw = RawDataset("made", frame.iloc[:FIRST_TEST], frame.iloc[FIRST_TEST:])
    return inspection.inspect(raw, Rules(min_test_rows=10), profiles.load_embedded())


def with_example(digits, check):
    """Return the digits with the check's example in place of a row."""
    frame = digits.astype(float)
    frame.iloc[ROW] = check.example(ValidRows(*frame.iloc[[ROW, EARLIER, FIRST_TEST]].to_numpy()))
    return frame


@pytest.mark.parametrize("name", ROW_CHECKS)
def test_example_of_each_row_check_is_quarantined_for_it(name, digits):
    validation, dataset = inspect(with_example(digits, ROW_CHECKS[name]))
    expected = [["300", name]]
    if name == "contradiction":  # fails with the row that it contradicts, and repeats its image
        expected = [["200", name], ["300", "contradiction; duplicate"]]
    assert validation.quarantined[["item", "reasons"]].to_numpy().tolist() == expected
    assert len(dataset.train) == FIRST_TEST - len(expected)


def test_registered_check_quarantines_rows_and_is_reported(digits, monkeypatch):
    check = RowCheck(
        "too little ink",
        "the mean pixel is below 10",
        "pixels",
        fact=lambda block: block.visible.mean(axis=1),
        passes=lambda mean: mean >= 10,
        example=lambda valid: np.array([valid.row[0], *[255.0] * 10, *[0.0] * 774]),
    )
    monkeypatch.setitem(ROW_CHECKS, check.name, check)
    validation, dataset = inspect(with_example(digits, check))
    assert validation.quarantined[["item", "reasons"]].to_numpy().tolist() == [["300", "too little ink"]]
    assert len(dataset.train) == FIRST_TEST - 1
    report = validation_report.validation_report(validation, str, None)
    assert "| too little ink | the mean pixel is below 10 | 1 | 0 |" in report
