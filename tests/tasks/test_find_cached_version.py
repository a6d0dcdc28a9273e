"""Which inputs are remembered, so that a later run with the same ones reads none of them."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from samples import draw_digits

from artifacts.store import known_inputs, review
from artifacts.store.store import Store
from schemas.compute import LOCAL
from schemas.recipe import PRESETS, Overrides
from schemas.review import COLUMNS, item_of
from schemas.rules import DEFAULT_RULES, Rules
from tasks.find_cached_version import find_cached_version
from tasks.inbox import child
from tasks.sources import datasets
from tasks.training import fingerprint
from tasks.validation import inspection, profiles, row_faults
from tasks.validation.input_digest import Inputs, take_snapshot

SOURCE, DONE = Path("source.npz"), Path("inbox/done")
PIXELS, LABELS = draw_digits(800, seed=1)
RULES = Rules(max_label_drift=1, max_ink_drift=10, max_shape_drift=10)
"""Without a warning about drawn digits, which are unlike the reference."""


def write_source(blank=()):
    pixels = PIXELS.copy()
    pixels[[*blank]] = 0
    np.savez(SOURCE, x_train=pixels[:600], y_train=LABELS[:600], x_test=pixels[600:], y_test=LABELS[600:])


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Return a store, beside a source and an inbox of one accepted file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fingerprint, "fingerprint", lambda *_: "fingerprint")  # needs no TensorFlow
    DONE.mkdir(parents=True)
    write_source()
    x, y = draw_digits(100, seed=3)
    np.savez(DONE / "more.npz", x=x, y=y)
    return Store(tmp_path / "store")


def inputs_of(rules):
    return Inputs(str(SOURCE), "", "inbox", rules, PRESETS["fast"], Overrides(), LOCAL)


def read(rules=RULES):
    """Return the dataset of the source and the inbox."""
    raw = datasets.load(str(SOURCE), None, rules)
    files = [child.read(path.resolve(), rules, is_accepted=True)[0] for path in sorted(DONE.iterdir())]
    return inspection.inspect(dataclasses.replace(raw, inbox_files=files), rules, profiles.load_embedded())[1]


def finish_run(store, rules=RULES, meanwhile=lambda: None):
    """Run the steps from the snapshot to the decision whether something has to be trained."""
    snapshot = take_snapshot(inputs_of(rules), store)
    dataset = read(rules)
    meanwhile()
    find_cached_version.fn(dataset, PRESETS["fast"].recipes["mlp"], store, LOCAL, snapshot)


def is_remembered(store, rules=RULES):
    snapshot = take_snapshot(inputs_of(rules), store)
    return known_inputs.read(store, snapshot.inputs.key, snapshot.digest, snapshot.queue) == "fingerprint"


def write_correction():
    (item,) = row_faults.digests(PIXELS[:1].reshape(1, -1))[:, 0]
    (DONE / "review.csv").write_text(f"item,label\n{item_of(int(item))},7\n")


def grow_queue(store):
    entry = (item_of(0), "abstained", 0.5, "", "x.png", -1, 9, "", bytes(784))
    review.add(store, pd.DataFrame([dict(zip(COLUMNS, entry, strict=True))]))


def test_inputs_without_anything_to_report_are_remembered(store):
    finish_run(store)
    assert is_remembered(store)


def test_a_growing_review_queue_is_no_change_without_corrections(store):
    finish_run(store)
    grow_queue(store)
    assert is_remembered(store)


def test_corrections_are_remembered_until_the_review_queue_grows(store):
    write_correction()
    finish_run(store)
    assert is_remembered(store)
    grow_queue(store)
    assert not is_remembered(store)


@pytest.mark.parametrize(
    ("rules", "change"),
    [(DEFAULT_RULES, write_source), (RULES, lambda: write_source(blank=[5]))],
    ids=["a warning", "a quarantined row"],
)
def test_inputs_with_something_to_report_are_read_again(store, rules, change):
    change()
    finish_run(store, rules)
    assert not is_remembered(store, rules)


def test_a_file_that_changes_while_it_is_read_is_not_remembered(store):
    finish_run(store, meanwhile=lambda: write_source(blank=[5]))
    assert not is_remembered(store)
    write_source()
    assert not is_remembered(store)


def test_a_test_part_unlike_the_training_part_is_not_clean(store):
    """It would be reported once the training rows are the reference."""
    dataset = read()
    assert inspection.is_clean(dataset)
    strict = dataclasses.replace(dataset.validation, rules=Rules(max_shape_drift=1e-6).model_dump(mode="json"))
    assert not inspection.is_clean(dataclasses.replace(dataset, validation=strict))
