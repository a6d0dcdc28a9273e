"""Where predictions are written, and the archive: each run's own copy, and the newest under a stable name."""

import dataclasses
import errno
import shutil

import numpy as np
import pandas as pd
import pytest

from artifacts import predictions, predictions_table
from schemas.errors import InputError
from schemas.prediction import Predictor
from tasks.prediction.stream import predict_pixels
from tasks.validation import profiles


def test_every_runs_output_is_kept_beside_the_newest(tmp_path):
    output, archive = tmp_path / "digits.csv", tmp_path / "archive" / "digits"
    for run in ("1a2b3c4d", "5e6f7a8b"):
        output.write_text(run)
        copy = predictions.keep_copy(output, archive, run)
        assert copy.match(f"digits-20*-{run}.csv")
    assert output.read_text() == "5e6f7a8b"
    assert sorted(copy.read_text() for copy in archive.iterdir()) == ["1a2b3c4d", "5e6f7a8b"]


@pytest.mark.parametrize(
    ("name", "output_format", "reason"),
    [
        ("out.txt", "predictions", r"must end with \.csv or \.parquet"),
        ("out.parquet", "kaggle", r"must end with \.csv, as --format is kaggle"),
        ("folder.csv", "predictions", "is a folder; choose a file"),
    ],
)
def test_output_that_cannot_be_written_is_refused(tmp_path, name, output_format, reason):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=rf"^--output {tmp_path}/{name}: {reason}$"):
        predictions.check(tmp_path / name, output_format)


def test_copy_on_a_full_disk_is_one_line_and_leaves_no_file(tmp_path, monkeypatch):
    def disk_full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", disk_full)
    archive = tmp_path / "archive"
    with pytest.raises(InputError, match=rf"^--archive {archive}: can't be written \(No space left on device\)$"):
        predictions.keep_copy(tmp_path / "digits.csv", archive, "1a2b3c4d")
    assert list(archive.iterdir()) == []


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_row_numbers_are_written_as_other_names_are(tmp_path, suffix):
    pixels = np.zeros((3, 784), np.uint8)
    predictor = Predictor(1, 0.5, profiles.load_embedded(), lambda part: np.full((len(part), 10), 0.1, np.float32))
    batch, _ = predict_pixels(pixels, predictor)
    written = []
    for name, items in ("numbers", pd.RangeIndex(7, 10)), ("texts", pd.Index(["7", "8", "9"])):
        with predictions_table.writer(tmp_path / f"{name}{suffix}") as write:
            write(dataclasses.replace(batch, items=items))
        written.append((tmp_path / f"{name}{suffix}").read_bytes())
    assert written[0] == written[1]
