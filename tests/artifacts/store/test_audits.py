"""Audits in a store, in a folder and in an object store: the newest of some data replaces the one before."""

import pandas as pd
import pytest

from artifacts.store import audits
from artifacts.store.store import Store
from schemas.audit import COLUMNS, LABEL, Audit


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path):
    return Store(tmp_path if request.param == "folder" else request.getfixturevalue("bucket"))


def audit(*rows):
    suspects = pd.DataFrame(rows, columns=list(COLUMNS))
    return Audit("digits", "fingerprint", {"train": 60, "test": 20}, "mlp", 5, suspects)


PROBABLE = (LABEL, "test", 7, "7", 2, 7, 0.99, True, "")
POSSIBLE = (LABEL, "test", 9, "9", 3, 8, 0.60, False, "")
OF_TRAINING = (LABEL, "train", 11, "11", 5, 1, 0.99, True, "")


def test_an_audit_replaces_the_one_before_of_the_same_data(store):
    audits.write(store, audit(OF_TRAINING), {"suspects": b"png", "duplicates": b"png"})
    audits.write(store, audit(PROBABLE, POSSIBLE), {"suspects": b"new"})
    assert set(store.audits.child("fingerprint").sizes()) == {"suspects.parquet", "report.md", "suspects.png"}
    assert store.audits.child("fingerprint").read("suspects.png") == b"new"
    rows = audits.suspect_test_rows(store, "fingerprint")
    assert {name: list(numbers) for name, numbers in rows.items()} == {
        "probable label errors": [7],
        "suspect labels": [7, 9],
    }
    assert audits.suspect_test_rows(store, "other data") == {}


def test_an_audit_that_was_damaged_counts_as_none(store):
    audits.write(store, audit(PROBABLE), {})
    store.audits.child("fingerprint").write("suspects.parquet", b"damaged")
    assert audits.suspect_test_rows(store, "fingerprint") == {}
