"""The predict flow: a trained champion's predictions, the report in Prefect, versions that are refused, Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from prefect.settings import PREFECT_API_URL
from samples import ROOT, clean_environment, newest_artifact

from artifacts.files import checksums
from artifacts.store.store import Store
from flows.predict_flow import check, predict_flow
from schemas.errors import InputError, StoreError
from schemas.pixel_frame import labelled_frame, pixels_of
from tasks.prediction import stream

pytestmark = [pytest.mark.prefect, pytest.mark.mnist, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture(scope="module")
def store(mnist_run):
    """Return a store whose champion was trained on MNIST; not to be changed."""
    return mnist_run[0] / "store"


@pytest.fixture(scope="module")
def mnist_test_frame():
    """Return MNIST's test digits as a pixel frame."""
    with np.load(ROOT / "data" / "mnist.npz") as arrays:
        return labelled_frame(arrays["x_test"], arrays["y_test"])


@pytest.fixture(scope="module")
def predicted(store, tmp_path_factory):
    """Return the champion's totals for MNIST's test digits, and the rows of the file."""
    output = tmp_path_factory.mktemp("predictions") / "predictions.parquet"
    return predict_flow(store=str(store), output=output), pd.read_parquet(output)


def test_predictions_on_the_test_digits_have_the_cards_metrics(store, predicted):
    prediction, rows = predicted
    card = Store(store).card(1)
    assert prediction.n_rows == len(rows) == 10_000
    assert prediction.score.accuracy == card["figures"]["accuracy"]
    assert prediction.score.confusion_matrix.tolist() == card["figures"]["confusion_matrix"]
    assert prediction.score.abstention.coverage == pytest.approx(card["abstention"]["coverage"])
    assert prediction.score.abstention.accuracy == pytest.approx(card["abstention"]["accuracy"])


def test_the_predictions_file_has_a_row_for_each_image(store, predicted):
    _, rows = predicted
    assert list(rows.columns) == ["item", "label", "confidence", "second", "abstained", "unlike_training", "reason"]
    assert rows["item"].tolist() == [str(row) for row in range(10_000)]
    assert (rows["label"] != rows["second"]).all()
    assert rows["confidence"].between(0.1, 1).all()
    threshold = Store(store).card(1)["abstention"]["threshold"]
    assert (rows["abstained"] == (rows["confidence"] < np.float32(threshold))).all()
    assert 0 < rows["unlike_training"].mean() < 0.005


def test_predictions_dont_depend_on_the_batch_size(store, predicted, tmp_path):
    predict_flow(store=str(store), output=tmp_path / "out.parquet", batch_size=777)
    rows = pd.read_parquet(tmp_path / "out.parquet")
    assert rows["label"].tolist() == predicted[1]["label"].tolist()
    np.testing.assert_allclose(rows["confidence"], predicted[1]["confidence"], atol=1e-5)


def test_a_drawing_of_any_size_and_colour_is_recognised(store, mnist_test_frame, tmp_path):
    seven = 255 - pixels_of(mnist_test_frame)[0].reshape(28, 28)
    Image.fromarray(seven).resize((300, 300)).convert("RGB").save(tmp_path / "mine.jpg")
    predict_flow(str(tmp_path / "mine.jpg"), store=str(store), output=tmp_path / "out.csv")
    (row,) = pd.read_csv(tmp_path / "out.csv").to_dict("records")
    assert (row["item"], row["label"]) == (str(tmp_path / "mine.jpg"), 7)


def test_the_report_in_prefect_has_its_plots_embedded(store, tmp_path):
    prediction = predict_flow(store=str(store), output=tmp_path / "out.csv")
    report = newest_artifact("prediction-report")
    assert report.type == "markdown"
    assert report.data.startswith("# mnist: 10,000 images")
    assert f"accuracy {prediction.score.accuracy:.2%} of 10,000 images with a label" in report.data
    assert report.data.count("data:image/png;base64,") == 5
    assert len(report.data) < 1_000_000


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"input": "gone.csv"}, "gone.csv"),
        ({"output": "out.txt"}, "--output out.txt"),
        ({"version": 9}, "no version 9"),
    ],
)
def test_the_flow_and_its_check_refuse_the_same_parameters(parameters, message, store, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    parameters = {"input": "mnist", "version": 0, "store": str(store), "output": "out.csv"} | parameters
    parameters["output"] = Path(parameters["output"])
    for refuse in (check, predict_flow):
        with pytest.raises(InputError, match=message):
            refuse(**parameters)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def version_dir(store, tmp_path):
    """Return the folder of version 1 in a copy of the store, to be changed."""
    shutil.copytree(store, tmp_path / "store")
    return tmp_path / "store" / "versions" / "1"


def write_card(version_dir, card):
    """Write the card of version 1, and its copy in the history."""
    event = version_dir.parents[1] / "history" / "000001.json"
    (version_dir / "card.json").write_text(json.dumps(card))
    event.write_text(json.dumps(json.loads(event.read_text()) | {"card": card}))


def test_a_version_whose_files_were_changed_isnt_used(version_dir, tmp_path):
    model = version_dir / "model.keras"
    model.write_bytes(model.read_bytes()[:-100])
    with pytest.raises(StoreError, match=r"version 1: model\.keras was changed"):
        predict_flow(store=str(tmp_path / "store"), output=tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("abstention", [None, {}, {"threshold": "high"}, {"threshold": True}, {"threshold": 7}])
def test_a_card_without_a_valid_threshold_is_refused(abstention, version_dir, tmp_path):
    card = version_dir / "card.json"
    write_card(version_dir, json.loads(card.read_text()) | {"abstention": abstention})
    with pytest.raises(StoreError, match=r"version 1: the abstention threshold on its card is .*, not a number"):
        stream.predictor(Store(tmp_path / "store"), 1)


def test_a_model_with_code_or_without_probabilities_is_refused(version_dir, tmp_path):
    import keras

    for layer, message in (
        (keras.layers.Lambda(lambda x: x), "not a model that can be loaded safely"),
        (keras.layers.Rescaling(2.0), "its model's outputs aren't probabilities"),
    ):
        layers = [keras.Input((28, 28)), layer, keras.layers.Flatten(), keras.layers.Dense(10)]
        keras.Sequential(layers).save(version_dir / "model.keras")
        card = json.loads((version_dir / "card.json").read_text())
        (version_dir / "card.json").unlink()
        write_card(version_dir, card | {"files": checksums(version_dir)})
        with pytest.raises(StoreError, match=message):
            predict_flow(store=str(tmp_path / "store"), output=tmp_path / "out.csv")


def test_ctrl_c_leaves_the_old_predictions_file(store, prefect_home, tmp_path):
    (tmp_path / "out.csv").write_text("older predictions")
    np.savez(tmp_path / "many.npz", np.zeros((300_000, 784), np.uint8) + np.arange(784, dtype=np.uint8))
    command = [sys.executable, ROOT / "flows" / "predict_flow.py", "--input", tmp_path / "many.npz"]
    command += ["--store", store, "--output", tmp_path / "out.csv", "--batch-size", "32"]
    with subprocess.Popen(
        list(map(str, command)),
        env=clean_environment(prefect_home) | {"PREFECT_API_URL": PREFECT_API_URL.value()},
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        while not list(tmp_path.glob(".new-*-out.csv")):
            time.sleep(0.05)
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert stderr.decode().splitlines()[-1] == "error: interrupted; nothing was written"
    assert (tmp_path / "out.csv").read_text() == "older predictions"
    assert {path.name for path in tmp_path.iterdir()} == {"out.csv", "many.npz"}


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_server")
def test_earlier_predictions_on_a_source_are_found_newest_first():
    from tasks.orchestration import events

    for name, drifted in (("scans of the clinic", False), ("scans of the clinic", True), ("others", False)):
        events.emit(events.PREDICTED, "data", name, "10 images by version 1", drifted=drifted)
        time.sleep(0.01)
    deadline = time.monotonic() + 30
    while len(found := events.drifted_before("scans of the clinic", 3)) < 2 and time.monotonic() < deadline:
        time.sleep(0.3)
    assert found == [True, False]
    assert events.drifted_before("scans of the clinic", 1) == [True]
