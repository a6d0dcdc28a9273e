"""The data report: its headline, its sections, and a section that is registered."""

import re

import pytest

from artifacts.reports import markdown, validation_report
from artifacts.reports.markdown import Section
from schemas.results import RawDataset
from schemas.rules import Rules
from tasks.validation import inspection, profiles


@pytest.fixture(scope="module")
def validation(digits):
    return validate(digits.astype(float), Rules(min_test_rows=10))


def validate(frame, rules, notes=()):
    frame.iloc[4, 0] = 12
    raw = RawDataset("made", frame, None, notes=notes)
    return inspection.inspect(raw, rules, profiles.load_embedded())[0]


def test_report_names_rows_outcome_and_quarantine(validation):
    report = validation_report.validation_report(validation, markdown.as_links, "store/quarantine/1")
    assert report.startswith("# made: 400 rows, accepted\n\n## Checks\n")
    train, test = re.search(
        r"\| train \| 400 \| 1 \| (\d+) \|\n\| test, split off \|  \|  \| (\d+) \|", report
    ).groups()
    assert int(train) + int(test) == 399
    assert "| label unknown | the label isn't one of 0 to 9 | 1 |" in report
    assert "The input rows are in `store/quarantine/1`.\n\n![Quarantined rows](quarantine.png)" in report
    assert "## Repairs" not in report


def test_repairs_and_guesses_of_the_reader_are_reported(digits):
    frame = digits.astype(float)
    frame.iloc[:, 1:] = 255 - frame.iloc[:, 1:]
    result = validate(frame, Rules(min_test_rows=10, repair=("invert",)), ("label: column 785",))
    report = validation_report.validation_report(result, markdown.as_links, None)
    assert "## Repairs\n\nMade on all images: invert." in report
    assert "label: column 785" in report.partition("## How it was read")[2].partition("##")[0]


def test_registered_section_is_written(validation, monkeypatch):
    section = Section("Weather", lambda validation, *_: f"Sunny over {validation.name}.")
    monkeypatch.setattr(validation_report, "SECTIONS", (*validation_report.SECTIONS, section))
    report = validation_report.validation_report(validation, markdown.as_links, None)
    assert report.endswith("\n\n## Weather\n\nSunny over made.\n")
