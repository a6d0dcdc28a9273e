"""Predict whole sources: every format, any batch size, images that can't be predicted, sources that are refused."""

import os

import numpy as np
import pandas as pd
import pytest
import source_files
from PIL import Image
from samples import ROOT

from schemas.errors import InputError
from schemas.pixel_frame import labels_of, pixels_of
from schemas.rules import DEFAULT_INPUT_RULES, InputRules
from tasks.prediction import stream

FASHION = ROOT / "tests" / "data" / "fashion-mnist-1000.npz"


@pytest.fixture
def predict(predictor, tmp_path):
    """Return a function that predicts a source, and returns the totals and the written rows."""

    def run(source, rules=DEFAULT_INPUT_RULES, batch_size=16_384, **options):
        output = tmp_path / "out.csv"
        prediction = stream.predict(str(source), predictor, output, rules, batch_size, **options)
        return prediction, pd.read_csv(output)

    return run


def unlabelled_pictures(frame, folder):
    """Write PNGs without labels, in the frame's order."""
    folder = folder / "scans"
    folder.mkdir()
    for number, image in enumerate(pixels_of(frame)):
        Image.fromarray(image.reshape(28, 28)).save(folder / f"{number:06}.png")
    return folder


FORMATS = (
    source_files.npz, source_files.csv, source_files.parquet_of_int64, source_files.idx_gz, unlabelled_pictures
)  # fmt: skip


@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
def test_every_format_gives_the_same_predictions(write, digits, predict, predictor, tmp_path):
    _, rows = predict(write(digits, tmp_path))
    probabilities = predictor.probabilities(pixels_of(digits))
    assert rows["label"].tolist() == probabilities.argmax(axis=1).tolist()
    np.testing.assert_allclose(rows["confidence"], probabilities.max(axis=1), atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 60])
def test_the_first_images_decide_the_scale_for_any_batch_size(batch_size, digits, predict, tmp_path):
    pixels = pixels_of(digits)[:60] / 255
    pixels[59] *= 255
    np.savez(tmp_path / "rows.npz", pixels)
    _, rows = predict(tmp_path / "rows.npz", InputRules(repair=("scale",)), batch_size)
    assert rows["label"].isna().to_numpy().nonzero()[0].tolist() == [59]


@pytest.mark.parametrize("batch_size", [1, 60])
def test_one_inverted_image_doesnt_stop_the_run(batch_size, digits, predict, tmp_path):
    pixels = pixels_of(digits)[:60].copy()
    pixels[0] = 255 - pixels[0]
    np.savez(tmp_path / "rows.npz", pixels)
    _, rows = predict(tmp_path / "rows.npz", batch_size=batch_size)
    assert rows["unlike_training"][0]


def test_invalid_images_keep_their_rows_without_a_prediction(digits, predict, tmp_path):
    frame = digits.iloc[:20, 1:].astype(float)
    frame.iloc[3, 400], frame.iloc[5, 400], frame.iloc[7] = np.nan, 300, 0
    frame.to_csv(tmp_path / "rows.csv", index=False)
    prediction, rows = predict(tmp_path / "rows.csv")
    assert prediction.invalid == {"pixel missing": 1, "pixel out of range": 1, "blank": 1}
    assert (prediction.n_rows, prediction.n_predicted) == (20, 17)
    assert rows["label"].isna().to_numpy().nonzero()[0].tolist() == [3, 5, 7]
    assert rows.loc[[3, 5, 7], "abstained"].all()
    assert rows.loc[[3, 5, 7], ["confidence", "second", "unlike_training"]].isna().all(axis=None)
    assert prediction.abstained.sum() + 3 == rows["abstained"].sum()
    assert "no prediction for 3 of 20 images" in [finding.message for finding in prediction.findings]


def test_file_names_with_a_formula_or_bytes_are_kept(digits, predict, tmp_path):
    for name in (r"$\frac$.png", os.fsdecode(b"\xff.png")):
        Image.fromarray(pixels_of(digits)[0].reshape(28, 28)).save(tmp_path / name)
    _, rows = predict(tmp_path / "*.png")
    assert rows["item"].tolist() == [rf"{tmp_path}/$\frac$.png", rf"{tmp_path}/\xff.png"]


def test_images_of_another_kind_have_drifted(predict, tmp_path):
    prediction, rows = predict(FASHION)
    assert rows["unlike_training"].mean() > 0.7
    assert "shapes" in [drift.name for drift in prediction.drifts if drift.exceeds_threshold]
    assert len(prediction.least_similar) == 24
    written = (tmp_path / "out.csv").read_bytes()
    with pytest.raises(InputError, match=r"shapes drifted by .*; nothing was written"):
        predict(FASHION, InputRules(drift="error"))
    assert (tmp_path / "out.csv").read_bytes() == written
    assert list(tmp_path.iterdir()) == [tmp_path / "out.csv"]


def test_transposed_digits_have_drifted_until_they_are_repaired(digits, predict, tmp_path):
    np.savez(tmp_path / "transposed.npz", pixels_of(digits).reshape(-1, 28, 28).swapaxes(1, 2))
    for repair, drifted in (((), True), (("transpose",), False)):
        prediction, _ = predict(tmp_path / "transposed.npz", InputRules(repair=repair))
        assert ("shapes" in [d.name for d in prediction.drifts if d.exceeds_threshold]) is drifted


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x / 255, "pixels run from 0 to 1; 0 to 255 are needed: --repair scale"),
        (lambda x: 255 - x, "ink is dark on a bright background: --repair invert"),
        (lambda x: x.iloc[:, :700], "700 columns; expected label, pixel0 … pixel783"),
        (lambda x: x[:0], "no row"),
    ],
)
def test_a_refused_source_leaves_the_old_predictions_file(spoil, message, digits, predict, tmp_path):
    spoil(digits.iloc[:50, 1:]).to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "out.csv").write_text("older predictions")
    with pytest.raises(InputError, match=message):
        predict(tmp_path / "rows.csv")
    assert (tmp_path / "out.csv").read_text() == "older predictions"
    assert {path.name for path in tmp_path.iterdir()} == {"rows.csv", "out.csv"}


def test_an_output_that_is_part_of_the_source_is_refused(digits, predict, tmp_path):
    digits.iloc[:20, 1:].to_csv(tmp_path / "out.csv", index=False)
    with pytest.raises(InputError, match="would be read as part of"):
        predict(tmp_path / "*.csv")


def test_only_images_with_a_label_from_0_to_9_are_scored(digits, predict, tmp_path):
    frame = digits.iloc[:100].astype(float)
    frame.iloc[:10, 0] = np.nan
    frame.iloc[10:15, 0] = 77
    frame.to_parquet(tmp_path / "rows.parquet")
    prediction, _ = predict(tmp_path / "rows.parquet")
    assert prediction.n_rows == 100
    assert prediction.score.n_rows == 85
    by_class = np.bincount(labels_of(digits)[15:100], minlength=10)
    assert np.array_equal(prediction.score.confusion_matrix.sum(axis=1), by_class)


@pytest.mark.parametrize("batch_size", [2, 100])
def test_bad_file_among_many_is_a_row_with_its_reason(batch_size, digits, predict, tmp_path):
    folder = unlabelled_pictures(digits.iloc[:3], tmp_path)
    (folder / "000001.png").write_bytes(b"\x89PNG\r\n\x1a\ncut")
    (folder / "readme.txt").write_text("scanned in May")
    (folder / "z.bin").write_bytes(bytes(9))
    prediction, rows = predict(folder, batch_size=batch_size)
    assert rows["item"].tolist() == ["000000.png", "000001.png", "000002.png", "z.bin"]
    assert rows["label"].notna().tolist() == [True, False, True, False]
    assert rows["reason"][rows["label"].isna()].str.startswith("unreadable: ").all()
    assert prediction.invalid == {"unreadable": 2}
    assert prediction.notes == ("1 file left out (no images): readme.txt",)
    with pytest.raises(InputError, match=r"z\.bin: "):
        predict(folder, batch_size=batch_size, strict=True)


@pytest.mark.parametrize("batch_size", [2, 100])
def test_bad_picture_in_a_labelled_folder_is_a_row_with_its_reason(batch_size, digits, predict, tmp_path):
    folder = source_files.pictures(digits.iloc[:20], tmp_path)
    first = min(folder.rglob("*.png"))
    first.write_bytes(b"\x89PNG\r\n\x1a\ncut")
    prediction, rows = predict(folder, batch_size=batch_size)
    assert rows["label"].notna().tolist() == [False] + 19 * [True]
    assert rows["item"][0] == str(first.relative_to(folder))
    assert (prediction.score.n_rows, prediction.invalid) == (19, {"unreadable": 1})
    with pytest.raises(InputError, match=f"{first.name}: "):
        predict(folder, batch_size=batch_size, strict=True)


def test_picture_of_several_digits_is_reported_as_such(digits, predict, tmp_path):
    folder = unlabelled_pictures(digits.iloc[:1], tmp_path)
    two = np.full((300, 600), 230, np.uint8)
    two[60:240, 150:180] = two[60:240, 420:450] = 30
    Image.fromarray(two).save(folder / "two.png")
    prediction, rows = predict(folder)
    assert rows["reason"][1] == "several digits: holds 2 digits; crop one per picture"
    assert prediction.invalid == {"several digits": 1}


def test_folder_without_a_readable_file_is_refused(tmp_path, predict):
    (tmp_path / "scans").mkdir()
    for name in ("a.bin", "b.bin"):
        (tmp_path / "scans" / name).write_bytes(bytes(9))
    with pytest.raises(InputError, match=r"a\.bin: .*; no file of .*scans can be read"):
        predict(tmp_path / "scans")


def test_kaggle_submission_ends_at_an_unreadable_file(digits, predict, tmp_path):
    (tmp_path / "files").mkdir()
    digits.to_csv(tmp_path / "files" / "b.csv", index=False)
    (tmp_path / "files" / "a.csv").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"a\.csv: "):
        predict(tmp_path / "files", output_format="kaggle")


def test_kaggle_submission_numbers_images_from_1_and_labels_each(digits, predict, tmp_path):
    frame = digits.iloc[:5, 1:].copy()
    frame.iloc[2] = 0  # blank: no answer
    frame.to_csv(tmp_path / "test.csv", index=False)
    _, rows = predict(tmp_path / "test.csv", batch_size=2, output_format="kaggle")
    assert rows.columns.tolist() == ["ImageId", "Label"]
    assert rows["ImageId"].tolist() == [1, 2, 3, 4, 5]
    assert rows["Label"].isin(range(10)).all()
