"""The training flow with a Prefect server: the versions in the store, and the artifacts and events in Prefect."""

import dataclasses
import json
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from samples import QUICK, awaited_events, draw_digits, newest_artifact

from artifacts.store.storage import storage_at
from artifacts.store.store import Store
from flows.predict_flow import predict_flow
from flows.promote_flow import promote_flow
from flows.train_flow import train_flow
from flows.verify_flow import verify_flow
from schemas.errors import InputError, TrainingError
from schemas.gate import GateRules
from schemas.pixel_frame import LABELLED_COLUMNS
from schemas.recipe import Overrides
from schemas.rules import Rules
from tasks.sources import datasets
from tasks.verification import rescore

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]

FILES = {
    "model.keras",
    "metrics.json",
    "report.md",
    "confusion_matrix.png",
    "robustness.png",
    "learning_curve.png",
    "mistakes.png",
}
FILES |= {"validation.json", "reference.npz", "training_rows.npy", "data.png", "card.json", "card.md"}


@pytest.fixture(scope="module")
def published(prefect_server, tiny_npz, tmp_path_factory):
    return train_flow(
        str(tiny_npz), store=str(tmp_path_factory.mktemp("stores") / "store"), recipe="plain", overrides=QUICK
    )


@pytest.fixture(scope="module")
def local_dir(published):
    return Path(published.folder)


def test_run_leaves_a_complete_version_and_nothing_else(published, local_dir):
    assert published.version == 1
    assert {file.name for file in local_dir.iterdir()} == FILES | {".reported"}
    store = local_dir.parents[1]
    left = {"versions", "history", "claims", "store.json", "work", "store.prom", "training.prom"}
    assert {entry.name for entry in store.iterdir()} == left, "the checkpoints are gone"
    assert Store(store).faults(1) == []


def test_metrics_agree_with_the_result_of_the_flow(published, local_dir, tiny_npz):
    metrics = json.loads((local_dir / "metrics.json").read_text())
    assert metrics["accuracy"] == published.accuracy > 0.9
    assert sum(map(sum, metrics["confusion_matrix"])) == published.n_rows == 200
    assert metrics["recipe"]["epochs"] == 4
    assert metrics["dataset"]["name"] == tiny_npz.name
    assert set(metrics["seconds"]) == {
        "start-up", "load", "validate", "find_cached_version", "train", "evaluate", "compare", "plot", "orchestration",
    }  # fmt: skip


def test_saved_model_has_the_accuracy_of_the_metrics(published, local_dir):
    import keras

    pixels, labels = draw_digits(200, seed=2)
    predicted = keras.models.load_model(local_dir / "model.keras").predict(pixels, verbose=0).argmax(axis=1)
    assert (predicted == labels).mean() == published.accuracy


def test_accepted_data_is_reported_in_prefect_and_in_the_version(published, local_dir):
    report = newest_artifact("data-validation")
    assert report.data.startswith("# tiny.npz: 800 rows, accepted")
    validation = json.loads((local_dir / "validation.json").read_text())
    assert validation["rows"]["valid"] == {"train": 600, "test": 200}
    assert {finding["check"] for finding in validation["findings"]} == {"drift"}, "bars aren't digits"
    text = (local_dir / "report.md").read_text()
    assert "| **warning** | drift |" in text
    assert "](data.png)" in text


def test_report_is_an_artifact_with_embedded_plots(published):
    report = newest_artifact("training-report")
    assert report.type == "markdown"
    assert report.data.startswith(f"# Version 1: {published.accuracy:.2%}")
    assert report.data.count("data:image/png;base64,") >= 2
    assert len(report.data) < 500_000


def test_per_class_metrics_are_a_table_artifact(published):
    table = newest_artifact("training-classes")
    assert table.type == "table"
    rows = json.loads(table.data)
    assert [row["digit"] for row in rows] == list(range(10))
    assert sum(row["images"] for row in rows) == published.n_rows


def test_promotion_and_drift_are_events(published, local_dir, tiny_npz):
    store = local_dir.parents[1]
    resource = f"digits.store.{store.resolve()}"
    promoted = awaited_events("digits.version.promoted", resource)[-1]["payload"]
    assert (promoted["version"], promoted["reason"]) == (published.version, published.reason)
    drifted = awaited_events("digits.data.drifted", f"digits.data.{tiny_npz.name}")[-1]["payload"]
    assert [(drift["part"], drift["what"]) for drift in drifted["drifts"]] == [
        ("train", "ink"), ("train", "shapes"), ("test", "ink"), ("test", "shapes"),
    ]  # fmt: skip


def test_leaderboard_and_history_are_artifacts(published, local_dir):
    board = newest_artifact("leaderboard")
    assert board.type == "table"
    newest = json.loads(board.data)[0]
    assert (newest["version"], newest["in use"]) == (published.version, "champion")
    assert newest["accuracy"] == f"{published.accuracy:.2%}"
    history = newest_artifact("history")
    assert f"| 1 | promotion | {published.reason} |" in history.data
    assert history.data.count("data:image/png;base64,") == 1


def test_progress_ends_at_100_percent(published):
    assert newest_artifact("training-progress").data == 100


def test_same_seed_gives_the_same_weights(published, local_dir, tiny_npz):
    again = train_flow(str(tiny_npz), store=str(local_dir.parents[1]), recipe="plain", overrides=QUICK, retrain=True)
    assert again.version == 2
    assert not again.promoted, "it is the same, and has seen no other rows"
    assert "p 1, 0.03 was needed; --gate-margin" in again.reason
    refused = awaited_events("digits.version.refused", f"digits.store.{local_dir.parents[1].resolve()}")[0]["payload"]
    assert (refused["version"], refused["reason"]) == (2, again.reason)
    one, two = (json.loads((local_dir.parent / str(n) / "metrics.json").read_text()) for n in (1, 2))
    assert one["weights_digest"] == two["weights_digest"]
    assert one["confusion_matrix"] == two["confusion_matrix"]


def test_first_version_is_the_champion_and_its_card_has_the_reason(published, local_dir):
    store = Store(local_dir.parents[1])
    assert published.promoted
    assert published.reason == f"the first champion, {published.accuracy:.2%} of 200 rows"
    assert store.history()[0]["event"] == "promotion"
    assert store.history()[0]["reason"] == published.reason
    assert store.card(1)["decision"]["promoted"]
    assert store.card(1)["run"] == store.history()[0]["run"]
    assert store.card(1)["abstention"]["coverage"] > 0


def test_same_data_and_recipe_are_not_trained_again(published, local_dir, tiny_npz):
    state = train_flow(
        str(tiny_npz), store=str(local_dir.parents[1]), recipe="plain", overrides=QUICK, return_state=True
    )
    assert state.is_completed()
    assert state.name == "Unchanged"
    assert "unchanged: version" in state.message
    result = state.result()
    assert result.unchanged
    assert result.accuracy == published.accuracy
    assert "Nothing was trained" in newest_artifact("training-unchanged").data
    direct = train_flow(str(tiny_npz), store=str(local_dir.parents[1]), recipe="plain", overrides=QUICK)
    assert (direct.version, direct.unchanged) == (result.version, True)


def test_an_unchanged_run_reads_no_data(store_copy, tiny_npz, monkeypatch):
    arguments = {"source": str(tiny_npz), "store": str(store_copy), "recipe": "plain", "overrides": QUICK}
    first = train_flow(**arguments)
    with monkeypatch.context() as patch:
        patch.setattr(datasets, "load", lambda *_: pytest.fail("the source was read"))
        second = train_flow(**arguments)
    assert dataclasses.replace(second, artifact=None) == dataclasses.replace(first, artifact=None)
    assert "weren't read again" in newest_artifact("training-unchanged").data
    assert not train_flow(**arguments | {"overrides": QUICK.model_copy(update={"seed": 3})}).unchanged


def test_worse_candidate_is_published_but_not_promoted(published, local_dir, tiny_npz):
    store = Store(local_dir.parents[1])
    before = store.champion()
    poor = QUICK.model_copy(update={"epochs": 1, "learning_rate": 0.001})
    gate = GateRules(min_accuracy=0)
    poor_version = train_flow(str(tiny_npz), store=store.uri, recipe="plain", overrides=poor, gate=gate)
    assert not poor_version.promoted
    assert store.champion() == before
    assert "is too high (--max-calibration-error 0.05)" in poor_version.reason
    event = store.history()[-1]
    assert (event["event"], event["version"], event["promoted"]) == ("decision", poor_version.version, False)
    report = newest_artifact("training-report").data
    assert "**Not promoted**" in report
    assert "mistakes fixed" in report
    forced = train_flow(str(tiny_npz), store=store.uri, recipe="plain", overrides=poor, gate=gate, force="a test")
    assert forced.promoted
    assert store.champion() == forced.version
    assert store.history()[-1]["reason"] == "forced: a test"


def test_damaged_champion_can_be_replaced_by_force(store_copy, tiny_npz):
    arguments = {"store": str(store_copy), "recipe": "plain", "overrides": QUICK, "retrain": True}
    (store_copy / "versions" / "1" / "model.keras").write_bytes(b"another model")
    refused = train_flow(str(tiny_npz), **arguments)
    assert not refused.promoted
    assert "the champion, version 1, can't be compared with: version 1: model.keras was changed" in refused.reason
    assert train_flow(str(tiny_npz), **arguments, force="version 1 was damaged").promoted


def test_drift_is_measured_against_the_champions_data(published, local_dir, tiny_npz, tmp_path):
    train_flow(str(tiny_npz), store=str(local_dir.parents[1]), recipe="plain", overrides=QUICK)
    report = newest_artifact("data-validation").data
    assert re.search(r"Drift from the reference, tiny\.npz of version \d+, 600 rows", report)
    assert "No problems found." in report, "compared with MNIST it would have drifted"


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


def test_old_versions_are_removed_except_the_champion(tmp_path, tiny_npz):
    arguments = {"store": str(tmp_path / "store"), "recipe": "plain", "retrain": True, "keep": 1}
    gate = GateRules(min_accuracy=0, max_calibration_error=0)
    for seed in range(3):
        quick = QUICK.model_copy(update={"seed": seed, "epochs": 1})
        train_flow(str(tiny_npz), **arguments, overrides=quick, gate=gate)
    assert Store(tmp_path / "store").versions() == [1, 3]


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


@pytest.fixture
def few_rows(tmp_path):
    """Return a source of 250 drawn digits without a test part, which is too few to split one off."""
    pixels, labels = draw_digits(250, seed=1)
    np.savez(tmp_path / "few.npz", x=pixels, y=labels)
    return tmp_path / "few.npz"


def test_few_rows_are_cross_validated_from_training_to_prediction(few_rows, tmp_path):
    run = {"source": str(few_rows), "store": str(tmp_path / "store"), "recipe": "plain", "overrides": QUICK}
    first = train_flow(**run)
    assert first.promoted
    assert first.metrics_message.endswith("in 250 digits in 5-fold cross-validation")
    card = Store(tmp_path / "store").card(1)
    assert (card["data"]["folds"], card["data"]["rows"]["test"], card["data"]["rows"]["training"]) == (5, 250, 225)
    assert card["abstention"]["level"] >= 0.9
    report = (tmp_path / "store" / "versions" / "1" / "report.md").read_text()
    assert "5-fold cross-validation" in report
    assert json.loads((tmp_path / "store" / "versions" / "1" / "validation.json").read_text())["rows"]["valid"] == {
        "train": 250
    }
    assert newest_artifact("training-progress").description == "Share of 24 epochs that is done"
    assert rescore.rescore(Path(first.folder), storage_at(tmp_path / "work"), reproduce=True) == []
    prediction = predict_flow(str(few_rows), output=tmp_path / "predictions.csv", store=run["store"])
    assert (prediction.n_rows, prediction.level) == (250, card["abstention"]["level"])


def test_form_has_every_parameter_with_description_and_bounds():
    schema = train_flow.parameters.model_dump()
    assert {"source", "store", "recipe", "overrides", "rules", "gate", "keep"} <= set(schema["properties"])
    for model in (schema, *schema["definitions"].values()):
        fields = model.get("properties", {})
        assert [name for name, field in fields.items() if not field.get("description")] == []
    epochs = schema["definitions"]["Overrides"]["properties"]["epochs"]
    assert {"type": "integer", "minimum": 1, "maximum": 10_000}.items() <= epochs.items()


@pytest.mark.parametrize("flow", [train_flow, predict_flow, promote_flow, verify_flow])
def test_no_field_of_a_form_is_of_type_none(flow):
    schema = flow.parameters.model_dump()
    models = [schema, *schema["definitions"].values()]
    fields = {name: field for model in models for name, field in model.get("properties", {}).items()}
    assert [name for name, field in fields.items() if "anyOf" in field or field.get("default", "") is None] == []


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
