"""The audit flow: wrong labels are listed, nothing changes, and the training report has the accuracy without them."""

import sys

import numpy as np
import pandas as pd
import pytest
from samples import QUICK, draw_digits, newest_artifact

from artifacts.store import review
from artifacts.store.store import Store
from flows import command_line
from flows.audit_flow import audit_flow
from flows.train_flow import train_flow

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def source(tmp_path):
    """Return a source whose test row 7 and training row 11 have wrong labels."""
    x_train, y_train = draw_digits(600, seed=1)
    x_test, y_test = draw_digits(200, seed=2)
    y_test[7], y_train[11] = 2, 5
    np.savez(tmp_path / "wrong.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return tmp_path / "wrong.npz"


@pytest.mark.slow
def test_wrong_labels_are_listed_and_reported_with_the_accuracy(source, tmp_path):
    store = Store(tmp_path / "store")
    before = source.read_bytes()
    audited = audit_flow(str(source), store=store.uri, folds=2)
    suspects = pd.read_parquet(f"{audited.folder}/suspects.parquet").query("kind == 'label'")
    assert {("test", 7, 2, 7), ("train", 11, 5, 1)} <= set(
        suspects[["part", "row", "label", "proposed"]].itertuples(index=False, name=None)
    )
    assert "data:image/png;base64," in newest_artifact("label-audit").data
    assert {"7", "11"} <= set(review.read(store).query("reason == 'label'")["origin"])
    assert source.read_bytes() == before
    assert not [name for name in store.work.names() if name.startswith("audit-")]

    published = train_flow(str(source), store=store.uri, recipe="plain", overrides=QUICK)
    report = (store.local_dir(published.version) / "report.md").read_text()
    assert "## Doubtful labels" in report
    assert "suspect labels" in report


@pytest.mark.parametrize("flags", [[], ["--test-seed", "1"]])
def test_wrong_labels_do_not_stop_an_audit_whatever_other_rule_is_set(monkeypatch, flags):
    monkeypatch.setattr(sys, "argv", ["audit_flow.py", *flags])
    assert command_line.parse(audit_flow)["rules"].wrong_labels == "warning"
