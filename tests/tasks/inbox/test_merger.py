"""Rows of an inbox's files are checked once, and give the same data as one frame of all rows."""

from unittest.mock import Mock

import numpy as np
import pytest
from samples import draw_digits

from schemas.rules import DEFAULT_RULES
from tasks.inbox.merger import InboxMerger, add_accepted, with_files
from tasks.sources import datasets
from tasks.validation import inspection, profiles, row_faults
from tasks.validation.check_rows import check_frame
from tasks.validation.labels import LabelChecker


@pytest.fixture
def mixed(tiny_npz, tmp_path):
    """Return a source with bad rows, and with files that have bad, known, repeated and contradicting rows."""
    base = datasets.load(str(tiny_npz), None, DEFAULT_RULES)
    base.train.iloc[3, 1:] = 0
    base.train.iloc[9] = base.train.iloc[5]
    pixels, labels = draw_digits(200, seed=5)
    labels[7] = 17
    np.savez(tmp_path / "b.npz", x=pixels, y=labels)
    pixels, labels = pixels[:100].astype(np.float64), labels[:100].copy()
    pixels[20] = base.train.iloc[30, 1:].to_numpy().reshape(28, 28)
    labels[20] = (base.train.iloc[30, 0] + 1) % 10
    pixels[21, 4, 4] = np.nan
    pixels[22] += 1
    np.savez(tmp_path / "a.npz", x=pixels, y=labels)
    return with_files(base, [str(tmp_path / name) for name in ("b.npz", "a.npz")], DEFAULT_RULES)


def inspect(raw):
    return inspection.inspect(raw, DEFAULT_RULES, profiles.load_embedded())


def as_one_frame(raw):
    parts = {part: check_frame(rows, ()) for part, rows in raw.parts.items()}
    merger = InboxMerger(raw, parts, DEFAULT_RULES, LabelChecker(profiles.load_embedded()))
    add_accepted(merger)
    _, train = merger.merged()
    frame = train.read_input(np.arange(train.n_input))
    return type(raw)("one frame", frame, raw.test)


def test_merged_rows_are_validated_like_one_frame(mixed):
    (merged, dataset), (one, same) = inspect(mixed), inspect(as_one_frame(mixed))
    assert merged.n_input == one.n_input == {"train": 801, "test": 200}
    assert merged.reasons == one.reasons
    assert set(merged.reasons) == {"blank", "duplicate", "contradiction"}
    assert merged.quarantined["item"].tolist() == ["3", "9", "30", "a.npz:20"]
    assert merged.quarantined.equals(one.quarantined)
    assert dataset.fingerprint == same.fingerprint


def test_facts_and_digests_of_each_row_are_computed_once(mixed, monkeypatch):
    functions = {name: Mock(wraps=getattr(row_faults, name)) for name in ("value_faults", "digests")}
    for name, function in functions.items():
        monkeypatch.setattr(row_faults, name, function)
    monkeypatch.setattr(profiles, "eigh", fits := Mock(wraps=profiles.eigh))
    inspect(mixed)
    n_rows = {name: [len(call.args[0]) for call in function.mock_calls] for name, function in functions.items()}
    assert n_rows == {"value_faults": [600, 200, 200, 100], "digests": [599, 200, 199, 98]}
    assert fits.call_count == 1, "the components of the whole, none of a file"
