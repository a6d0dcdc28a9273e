"""Prediction: the same answers from every format, told how far to trust them, and written whole or not at all."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import source_files
from PIL import Image
from samples import ROOT, clean_environment, newest_artifact

from artifacts.files import sums
from artifacts.reports.prediction_report import summary
from artifacts.store.store import Store
from flows.predict_flow import check, predict_flow
from flows.train_flow import train_flow
from schemas.errors import InputError, StoreError
from schemas.gate import GateRules
from schemas.pixel_frame import labelled_frame, labels_of, pixels_of
from schemas.recipe import Overrides
from schemas.rules import InputRules
from tasks.prediction import stream

pytestmark = [pytest.mark.prefect, pytest.mark.mnist, pytest.mark.usefixtures("prefect_server")]

COLUMNS = ["item", "label", "confidence", "second", "abstained", "unlike_training"]
FASHION = ROOT / "tests" / "data" / "fashion-mnist-1000.npz"


@pytest.fixture(scope="module")
def store(prefect_server, tmp_path_factory):
    """Give a store whose champion was trained on MNIST, if only for two epochs."""
    folder = tmp_path_factory.mktemp("champion") / "store"
    train_flow(store=str(folder), overrides=Overrides(epochs=2), gate=GateRules(min_accuracy=0.9))
    return folder


@pytest.fixture(scope="module")
def test_digits():
    """Give MNIST's test digits as a pixel frame."""
    with np.load(ROOT / "data" / "mnist.npz") as arrays:
        return labelled_frame(arrays["x_test"], arrays["y_test"])


@pytest.fixture(scope="module")
def embedded(store, tmp_path_factory):
    """Give what the champion says of the embedded test digits, and the file that says it."""
    output = tmp_path_factory.mktemp("predictions") / "predictions.parquet"
    return predict_flow(store=str(store), output=output), pd.read_parquet(output)


def predicted(source, store, output, **others):
    predict_flow(str(source), store=str(store), output=output, **others)
    return pd.read_parquet(output) if output.suffix == ".parquet" else pd.read_csv(output)


def flat_pictures(frame, folder):
    """Write PNGs without labels, in the frame's order."""
    folder = folder / "scans"
    folder.mkdir()
    for number, image in enumerate(pixels_of(frame)):
        Image.fromarray(image.reshape(28, 28)).save(folder / f"{number:06}.png")
    return folder


def test_the_embedded_test_digits_score_what_the_card_says(store, embedded):
    prediction, rows = embedded
    card = Store(store).card(1)
    assert prediction.n_rows == len(rows) == 10_000
    assert prediction.score.accuracy == card["figures"]["accuracy"]
    assert prediction.score.confusion_matrix.tolist() == card["figures"]["confusion_matrix"]
    assert prediction.score.answered.coverage == pytest.approx(card["abstention"]["coverage"])
    assert prediction.score.answered.accuracy == pytest.approx(card["abstention"]["accuracy"])


def test_each_image_has_its_line(store, embedded):
    _, rows = embedded
    assert list(rows.columns) == COLUMNS
    assert rows["item"].tolist() == [str(row) for row in range(10_000)]
    assert (rows["label"] != rows["second"]).all()
    assert rows["confidence"].between(0.1, 1).all()
    threshold = Store(store).card(1)["abstention"]["threshold"]
    assert (rows["abstained"] == (rows["confidence"] < np.float32(threshold))).all()
    assert 0 < rows["unlike_training"].mean() < 0.005


FORMATS = (source_files.npz, source_files.csv, source_files.parquet_of_int64, source_files.idx_gz, flat_pictures)


@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
def test_every_format_of_mnists_test_images_gives_the_same_answers(store, embedded, test_digits, tmp_path, write):
    rows = predicted(write(test_digits, tmp_path), store, tmp_path / "out.csv")
    assert rows["label"].tolist() == embedded[1]["label"].tolist()
    np.testing.assert_allclose(rows["confidence"], embedded[1]["confidence"], atol=1e-5)
    assert rows["unlike_training"].tolist() == embedded[1]["unlike_training"].tolist()


def test_the_size_of_a_batch_changes_nothing(store, embedded, tmp_path):
    rows = predicted("mnist", store, tmp_path / "out.parquet", batch_size=777)
    assert rows["label"].tolist() == embedded[1]["label"].tolist()
    np.testing.assert_allclose(rows["confidence"], embedded[1]["confidence"], atol=1e-5)


def test_a_drawing_of_any_size_and_colour_is_recognised(store, test_digits, tmp_path):
    seven = 255 - pixels_of(test_digits)[0].reshape(28, 28)
    Image.fromarray(seven).resize((300, 300)).convert("RGB").save(tmp_path / "mine.jpg")
    (row,) = predicted(tmp_path / "mine.jpg", store, tmp_path / "out.csv").to_dict("records")
    assert (row["item"], row["label"]) == (str(tmp_path / "mine.jpg"), 7)


def test_images_of_another_kind_are_flagged_and_the_batch_has_drifted(store, tmp_path):
    output = tmp_path / "out.csv"
    rows = predicted(FASHION, store, output)
    assert rows["unlike_training"].mean() > 0.7
    report = newest_artifact("prediction-report").data
    assert "| **warning** | drift | shapes drifted by" in report
    assert "Least like the training images" in report
    written = output.read_bytes()
    with pytest.raises(InputError, match=r"shapes drifted by .*; nothing was written"):
        predict_flow(str(FASHION), store=str(store), output=output, rules=InputRules(drift="error"))
    assert output.read_bytes() == written
    assert list(tmp_path.iterdir()) == [output]


def test_turned_digits_are_a_drift_that_a_repair_takes_away(store, test_digits, tmp_path):
    np.savez(tmp_path / "turned.npz", pixels_of(test_digits).reshape(-1, 28, 28).swapaxes(1, 2))
    output = tmp_path / "out.csv"
    far = {
        repair: [
            d.name
            for d in predict_flow(source, None, str(store), output, InputRules(repair=repair)).drifts
            if d.exceeds_threshold
        ]
        for source in [str(tmp_path / "turned.npz")]
        for repair in [(), ("transpose",)]
    }
    assert "shapes" in far[()]
    assert far["transpose",] == []


def test_the_report_tells_what_was_recognised_and_how_surely(store, tmp_path):
    prediction = predict_flow(store=str(store), output=tmp_path / "out.csv")
    report = newest_artifact("prediction-report")
    assert report.type == "markdown"
    assert report.data.startswith("# mnist: 10,000 images")
    assert f"accuracy {prediction.score.accuracy:.2%} of 10,000 images with a label" in report.data
    for digit, count in enumerate(prediction.labels):
        assert f"| **{digit}** | {count:,} | {count / 10_000:.1%} | {prediction.abstained[digit]:,} |" in report.data
    assert "| all | 10,000 |  |" in report.data
    assert f"It abstained from {prediction.abstained.sum():,}." in report.data
    for number, line in enumerate(prediction.score.confusion_matrix):
        assert f"| **{number}** | " in report.data
        assert f"**{line[number]}**" in report.data
    assert report.data.count("data:image/png;base64,") == 5
    assert len(report.data) < 1_000_000


def test_a_person_at_a_terminal_gets_a_short_table(embedded):
    told = summary(embedded[0])
    assert told.splitlines()[0].split() == ["digit", "images", "abstained"]
    assert told.splitlines()[11].split() == ["all", "10,000", f"{embedded[0].abstained.sum():,}"]
    assert "accuracy 9" in told
    assert len(told.splitlines()) < 22


def swap(version):
    (version / "report.md").rename(version / "other")
    (version / "card.md").rename(version / "report.md")
    (version / "other").rename(version / "card.md")


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


TOUCHED = {
    "weights": (lambda version: cut(version / "model.keras"), r"version 1: model\.keras was changed"),
    "swapped files": (swap, r"version 1: card\.md was changed.*version 1: report\.md was changed"),
    "a truncated card": (lambda version: cut(version / "card.json"), r"version 1: card\.json can't be read"),
    "a lost card": (
        lambda version: (version / "card.json").unlink(),
        "there is no version 1 with a card; there are none",
    ),
    "a link to nowhere": (lambda version: (version / "x").symlink_to("gone"), "version 1: x doesn't belong to it"),
}


@pytest.mark.parametrize("name", TOUCHED)
def test_a_version_that_was_touched_is_refused(name, store, tmp_path):
    touch, told = TOUCHED[name]
    shutil.copytree(store, tmp_path / "store")
    touch(tmp_path / "store" / "versions" / "1")
    with pytest.raises(StoreError, match=told):
        check("mnist", None, tmp_path / "store", tmp_path / "out.csv")
    with pytest.raises(StoreError, match=told):
        stream.predictor(Store(tmp_path / "store"), 1)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("abstention", [None, {}, {"threshold": "high"}, {"threshold": True}, {"threshold": 7}])
def test_a_card_without_a_threshold_that_makes_sense_is_refused(abstention, store, tmp_path):
    shutil.copytree(store, tmp_path / "store")
    place = tmp_path / "store" / "versions" / "1" / "card.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"abstention": abstention}))
    with pytest.raises(StoreError, match=r"version 1: its card's abstention threshold is .*; 0 to 1 is needed"):
        stream.predictor(Store(tmp_path / "store"), 1)


def test_a_model_that_carries_code_or_gives_no_probabilities_is_refused(store, tmp_path):
    import keras

    shutil.copytree(store, tmp_path / "store")
    place = tmp_path / "store" / "versions" / "1"
    for layer, told in (
        (keras.layers.Lambda(lambda x: x), "not a model that can be loaded safely"),
        (keras.layers.Rescaling(2.0), "its model's outputs aren't probabilities"),
    ):
        keras.Sequential([keras.Input((28, 28)), layer, keras.layers.Flatten(), keras.layers.Dense(10)]).save(
            place / "model.keras"
        )
        card = json.loads((place / "card.json").read_text())
        (place / "card.json").unlink()
        (place / "card.json").write_text(json.dumps(card | {"files": sums(place)}))
        with pytest.raises(StoreError, match=told):
            predict_flow(store=str(tmp_path / "store"), output=tmp_path / "out.csv")


def test_rows_that_cannot_be_answered_are_told_and_lose_nothing(store, test_digits, tmp_path):
    rows = test_digits.iloc[:20, 1:].astype(float)
    rows.iloc[3, 400], rows.iloc[5, 400], rows.iloc[7] = np.nan, 300, 0
    rows.to_csv(tmp_path / "rows.csv", index=False)
    prediction = predict_flow(str(tmp_path / "rows.csv"), store=str(store), output=tmp_path / "out.csv")
    assert prediction.unanswered == {"pixel missing": 1, "pixel out of range": 1, "blank": 1}
    assert (prediction.n_rows, prediction.answered) == (20, 17)
    written = pd.read_csv(tmp_path / "out.csv")
    assert written["label"].isna().to_numpy().nonzero()[0].tolist() == [3, 5, 7]
    assert written.loc[[3, 5, 7], "abstained"].all()
    assert written.loc[[3, 5, 7], ["confidence", "second", "unlike_training"]].isna().all(axis=None)
    assert prediction.abstained.sum() + 3 == written["abstained"].sum()
    report = newest_artifact("prediction-report").data
    assert "| pixel missing | a pixel has no value | 1 |" in report
    assert "| **warning** | checks | 3 of 20 images have no answer |" in report


def test_a_formula_for_a_name_is_a_name(store, test_digits, tmp_path):
    for name in (r"$\frac$.png", os.fsdecode(b"\xff.png")):
        Image.fromarray(pixels_of(test_digits)[0].reshape(28, 28)).save(tmp_path / name)
    rows = predicted(tmp_path / "*.png", store, tmp_path / "out.csv")
    assert rows["item"].tolist() == [rf"{tmp_path}/$\frac$.png", rf"{tmp_path}/\xff.png"]
    assert rows["label"].tolist() == [7, 7]


def test_scale_is_told_from_the_first_images_whatever_the_batch(store, test_digits, tmp_path):
    pixels = pixels_of(test_digits)[:60] / 255
    pixels[59] *= 255
    np.savez(tmp_path / "rows.npz", pixels)
    for size in (1, 60):
        others = {"rules": InputRules(repair=("scale",)), "batch_size": size}
        rows = predicted(tmp_path / "rows.npz", store, tmp_path / "out.csv", **others)
        assert rows["label"].notna().to_numpy().nonzero()[0].tolist() == [59]


def test_an_image_that_is_odd_stops_nothing_whatever_the_batch(store, test_digits, tmp_path):
    pixels = pixels_of(test_digits)[:60].copy()
    pixels[0] = 255 - pixels[0]
    np.savez(tmp_path / "rows.npz", pixels)
    for size in (1, 60):
        assert predicted(tmp_path / "rows.npz", store, tmp_path / "out.csv", batch_size=size)["unlike_training"][0]


def test_ctrl_c_leaves_the_old_file_and_nothing_else(store, prefect_home, tmp_path):
    (tmp_path / "out.csv").write_text("of yesterday")
    np.savez(tmp_path / "many.npz", np.zeros((300_000, 784), np.uint8) + np.arange(784, dtype=np.uint8))
    command = [sys.executable, ROOT / "flows" / "predict_flow.py", "--input", tmp_path / "many.npz"]
    command += ["--store", store, "--output", tmp_path / "out.csv", "--batch-size", "32"]
    with subprocess.Popen(
        list(map(str, command)), env=clean_environment(prefect_home), stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        while not list(tmp_path.glob(".out.csv.*")):
            time.sleep(0.05)
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert told.decode().splitlines()[-1] == "error: interrupted; nothing was written"
    assert (tmp_path / "out.csv").read_text() == "of yesterday"
    assert {path.name for path in tmp_path.iterdir()} == {"out.csv", "many.npz"}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda x: x / 255, "pixels run from 0 to 1; 0 to 255 are needed: --repair scale"),
        (lambda x: 255 - x, "ink is dark on a bright ground: --repair invert"),
        (lambda x: x.iloc[:, :700], "700 columns; pixel0 … pixel783"),
        (lambda x: x[:0], "no row"),
    ],
)
def test_images_that_are_all_wrong_are_refused_and_the_old_file_stays(store, test_digits, tmp_path, spoil, told):
    spoilt = spoil(test_digits.iloc[:50, 1:])
    spoilt.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "out.csv").write_text("of yesterday")
    with pytest.raises(InputError, match=told):
        predict_flow(str(tmp_path / "rows.csv"), store=str(store), output=tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "of yesterday"
    assert {path.name for path in tmp_path.iterdir()} == {"rows.csv", "out.csv"}


def test_rows_with_labels_are_scored_where_the_label_is_one(store, test_digits, tmp_path):
    frame = test_digits.iloc[:100].astype(float)
    frame.iloc[:10, 0] = np.nan
    frame.iloc[10:15, 0] = 77
    frame.to_parquet(tmp_path / "rows.parquet")
    prediction = predict_flow(str(tmp_path / "rows.parquet"), store=str(store), output=tmp_path / "out.csv")
    assert prediction.n_rows == 100
    assert prediction.score.n_rows == 85
    assert np.array_equal(
        prediction.score.confusion_matrix.sum(axis=1), np.bincount(labels_of(test_digits)[15:100], minlength=10)
    )
