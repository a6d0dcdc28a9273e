"""Read and inspect a source that has to be refused."""

import os
import re

from schemas.errors import InputError
from schemas.rules import Rules
from tasks.sources import datasets
from tasks.validation import inspection, profiles

STRICT = Rules(max_quarantined=0, min_test_rows=10)
TIGHT = STRICT.model_copy(update={"max_expanded_mib": 1, "max_picture_pixels": 1000})


def message(source, rules, test_source=None) -> str:
    """Read and inspect a source that must be refused; return the error and the quarantined rows in one line."""
    try:
        loaded = datasets.load(str(source), test_source and str(test_source), rules)
    except InputError as error:
        return str(error)
    validation, dataset = inspection.inspect(loaded, rules, profiles.load_embedded())
    assert dataset is None, "it was accepted"
    rows = [f"{part} {item}: {reasons}" for part, item, reasons in validation.quarantined.iloc[:, :3].to_numpy()]
    return "; ".join([validation.refusal, *rows])


def refused(source, expected, rules=TIGHT, test_source=None):
    error = message(source, rules, test_source)
    assert re.search(expected, error), error
    assert os.path.basename(source) in error  # noqa: PTH119, a source may be a name
    assert "\n" not in error
