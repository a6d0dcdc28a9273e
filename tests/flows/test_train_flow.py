"""The training flow with a Prefect server: the versions in the store, and the artifacts and events in Prefect."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from samples import QUICK, awaited_events, draw_digits, newest_artifact

from artifacts.store.storage import storage_at
from artifacts.store.store import Store
from flows.predict_flow import predict_flow
from flows.train_flow import train_flow
from schemas.gate import GateRules
from tasks.sources import datasets
from tasks.validation import inspection
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
    assert "| right where the other is wrong | 0 | 0 |" in report
    forced = train_flow(str(tiny_npz), store=store.uri, recipe="plain", overrides=poor, gate=gate, force="a test")
    assert forced.promoted
    assert store.champion() == forced.version
    assert store.history()[-1]["reason"] == "forced: a test"


def test_drift_is_measured_against_the_champions_data(published, local_dir, tiny_npz, tmp_path):
    train_flow(str(tiny_npz), store=str(local_dir.parents[1]), recipe="plain", overrides=QUICK)
    report = newest_artifact("data-validation").data
    assert re.search(r"Drift from the reference, tiny\.npz of version \d+, 600 rows", report)
    assert "No problems found." in report, "compared with MNIST it would have drifted"


def test_old_versions_are_removed_except_the_champion(store_copy, tiny_npz):
    for seed in (1, 2):
        quick = QUICK.model_copy(update={"seed": seed, "epochs": 1})
        train_flow(str(tiny_npz), store=str(store_copy), recipe="plain", overrides=quick, keep=1)
    assert Store(store_copy).versions() == [1, 3]


@pytest.fixture
def few_rows(tmp_path):
    """Return a source of 250 drawn digits without a test part, which is too few to split one off."""
    pixels, labels = draw_digits(250, seed=1)
    np.savez(tmp_path / "few.npz", x=pixels, y=labels)
    return tmp_path / "few.npz"


@pytest.mark.slow
def test_few_rows_are_cross_validated_from_training_to_prediction(few_rows, tmp_path, monkeypatch):
    monkeypatch.setattr(inspection, "N_FOLDS", 2)  # each takes seconds
    overrides = QUICK.model_copy(update={"epochs": 8})
    run = {"source": str(few_rows), "store": str(tmp_path / "store"), "recipe": "plain", "overrides": overrides}
    first = train_flow(**run)
    assert first.promoted
    assert first.metrics_message.endswith("in 250 digits in 2-fold cross-validation")
    card = Store(tmp_path / "store").card(1)
    assert (card["data"]["folds"], card["data"]["rows"]["test"], card["data"]["rows"]["training"]) == (2, 250, 225)
    assert card["abstention"]["level"] >= 0.9
    report = (tmp_path / "store" / "versions" / "1" / "report.md").read_text()
    assert "2-fold cross-validation" in report
    assert json.loads((tmp_path / "store" / "versions" / "1" / "validation.json").read_text())["rows"]["valid"] == {
        "train": 250
    }
    assert newest_artifact("training-progress").description == "Share of 24 epochs that is done"
    assert rescore.rescore(Path(first.folder), storage_at(tmp_path / "work"), reproduce=True) == []
    prediction = predict_flow(str(few_rows), output=tmp_path / "predictions.csv", store=run["store"])
    assert (prediction.n_rows, prediction.level) == (250, card["abstention"]["level"])
