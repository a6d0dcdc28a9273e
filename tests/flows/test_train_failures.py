"""Trainings that fail or are interrupted: what is published, reported, and finished by the next run."""

from pathlib import Path

import httpx
import numpy as np
import pytest
from samples import QUICK, awaited_events, newest_artifact

from artifacts.store.store import Store
from flows.train_flow import train_flow
from schemas.errors import InputError, TrainingError
from schemas.pixel_frame import LABELLED_COLUMNS
from schemas.recipe import Overrides
from schemas.rules import Rules

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


def test_damaged_champion_can_be_replaced_by_force(store_copy, tiny_npz):
    arguments = {"store": str(store_copy), "recipe": "plain", "overrides": QUICK, "retrain": True}
    (store_copy / "versions" / "1" / "model.keras").write_bytes(b"another model")
    refused = train_flow(str(tiny_npz), **arguments)
    assert not refused.promoted
    assert "the champion, version 1, can't be compared with: version 1: model.keras was changed" in refused.reason
    assert train_flow(str(tiny_npz), **arguments, force="version 1 was damaged").promoted


def test_next_run_publishes_a_report_that_failed(prefect_server, tmp_path, tiny_npz, monkeypatch):
    from tasks import report_training

    def fail(*_args, **_kwargs):
        raise httpx.ConnectError("the server is down")

    run = {"source": str(tiny_npz), "store": str(tmp_path / "store"), "recipe": "plain", "overrides": QUICK}
    with monkeypatch.context() as patch:
        patch.setattr(report_training, "create_markdown_artifact", fail)
        patch.setattr(report_training.report_training, "retries", 0)
        with pytest.raises(httpx.ConnectError):
            train_flow(**run)
    store = Store(tmp_path / "store")
    assert store.champion() == 1, "the model is promoted nevertheless"
    assert store.unreported() == [1]
    assert train_flow(**run).unchanged
    assert store.unreported() == []
    report = newest_artifact("training-report").data
    assert report.startswith("# Version 1: ")
    assert "data:image/png;base64," in report
    assert "](confusion_matrix.png)" not in report


def test_run_that_was_killed_after_its_decision_is_finished_by_the_next(
    prefect_server, tmp_path, tiny_npz, monkeypatch
):
    run = {"source": str(tiny_npz), "store": str(tmp_path / "store"), "recipe": "plain", "overrides": QUICK}
    store = Store(tmp_path / "store")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_remove_work", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train_flow(**run)
    assert (store.versions(), store.champion(), store.unreported()) == ([1], 1, [1])
    assert store.work.names()
    again = train_flow(**run)
    assert again.unchanged
    assert again.promoted
    assert store.champion() == 1
    assert not store.work.names()
    event = awaited_events("digits.version.promoted", f"digits.store.{Path(store.uri).resolve()}")[0]["payload"]
    assert event["version"] == 1


def test_refused_data_fails_the_run_and_publishes_nothing(tmp_path, tiny_npz):
    with np.load(tiny_npz) as whole:
        arrays = dict(whole)
    arrays["y_train"][17] = 12
    np.savez(tmp_path / "label-12.npz", **arrays)
    with pytest.raises(
        InputError, match=r"label-12\.npz: 1 of 600 train rows .*1 label unknown.*--max-quarantined allows 0\.001"
    ):
        train_flow(str(tmp_path / "label-12.npz"), store=str(tmp_path / "store"), rules=Rules(max_quarantined=0.001))
    assert [entry.name for entry in (tmp_path / "store").iterdir()] == ["quarantine"]
    (kept,) = (tmp_path / "store" / "quarantine").iterdir()
    assert {file.name for file in kept.iterdir()} == {"rows.parquet", "sheet.png"}
    report = newest_artifact("data-validation")
    assert report.data.startswith("# label-12.npz: 800 rows, refused, 1 error")
    assert "| label unknown | the label isn't one of 0 to 9 | 1 | 0 |" in report.data
    (event,) = awaited_events("digits.data.refused", "digits.data.label-12.npz")
    assert "1 label unknown" in event["payload"]["reason"]
    assert str(kept) in report.data
    assert report.data.count("data:image/png;base64,") == 2


def test_unreadable_data_is_reported(tmp_path):
    path = tmp_path / "cut.csv"
    path.write_text(",".join(LABELLED_COLUMNS) + "\n" + "1," * 784 + "1\n3\n")
    state = train_flow(str(path), store=str(tmp_path / "store"), return_state=True)
    assert state.name == "Failed"
    assert "line 3: expected 785 columns, as in line 1, got 1" in state.message
    assert not (tmp_path / "store").exists()
    assert "line 3: expected 785 columns, as in line 1, got 1" in newest_artifact("data-validation").data


def test_training_that_does_not_converge_publishes_nothing(tmp_path, tiny_npz):
    hopeless = Overrides(epochs=40, batch_size=32, learning_rate=1e-9)
    with pytest.raises(TrainingError, match="no better than guessing"):
        train_flow(str(tiny_npz), store=str(tmp_path / "store"), recipe="plain", overrides=hopeless)
    assert not (tmp_path / "store" / "versions").exists()


@pytest.mark.filterwarnings("ignore")
def test_faults_after_the_decision_leave_the_run_promoted(tiny_npz, tmp_path, monkeypatch, caplog):
    """Exports, alarms and MLflow fail in ways that nobody foresaw."""
    from tasks.exporting import exporter
    from tasks.tracking import mirror
    from tasks.watching import status

    def fail(*_arguments):
        raise RuntimeError("unforeseen")

    for module, name in ((exporter, "export"), (status, "read"), (mirror, "mirror")):
        monkeypatch.setattr(module, name, fail)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    state = train_flow(
        str(tiny_npz),
        store=str(tmp_path / "store"),
        recipe="plain",
        overrides=QUICK,
        export=("savedmodel",),
        return_state=True,
    )
    assert state.name == "Promoted"
    (export,) = state.result().exports
    assert export.summary == "savedmodel isn't exported: unforeseen"
    for message in (
        "the store isn't watched: unforeseen",
        "not mirrored in MLflow, the next run catches up: unforeseen",
    ):
        assert message in caplog.text
