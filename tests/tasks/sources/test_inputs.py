"""Inputs to predict on: the same rows from every format, in batches, with labels or without."""

import gzip
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import source_files
from PIL import Image
from samples import ROOT

from schemas.errors import InputError
from schemas.pixel_frame import labelled_frame, labels_of, pixels_of
from schemas.rules import DEFAULT_INPUT_RULES
from tasks.sources import inputs, parquet_table


def batches(source, rows=64):
    inputs.check(str(source), Path("predictions.csv"), strict=True)
    return list(inputs.batches(str(source), DEFAULT_INPUT_RULES, rows, strict=True))


def whole(source, rows=64):
    return pd.concat(batches(source, rows))


@pytest.mark.parametrize("rows", [1, 64, 400, 10_000])
@pytest.mark.parametrize("name", source_files.ALL)
def test_every_format_is_read_in_batches_of_limited_size(name, rows, digits, tmp_path):
    ordered = digits.iloc[:: 40 if rows == 1 else 1].sort_values("label", kind="stable", ignore_index=True)
    found = batches(source_files.ALL[name](ordered, tmp_path), rows)
    assert max(map(len, found)) <= rows
    together = pd.concat(found)
    assert (together.to_numpy() == ordered.to_numpy()).all()
    if not name.startswith("pictures"):
        assert together.index.tolist() == list(range(len(ordered)))


def test_shards_at_an_address_are_predicted_on_one_by_one(digits, tmp_path):
    memory = fsspec.filesystem("memory")
    for number, kind in enumerate(("parquet", "csv")):
        piece, path = digits.iloc[number * 200 : number * 200 + 200], tmp_path / f"{number}.{kind}"
        piece.to_parquet(path, index=False) if kind == "parquet" else piece.to_csv(path, index=False)
        memory.pipe(f"/input/{path.name}", path.read_bytes())
    together = whole("memory://input")
    assert (together.to_numpy() == digits.to_numpy()).all()
    assert together.index[[0, 200]].tolist() == ["0.parquet:0", "1.csv:0"]
    memory.pipe("/input/2.parquet", b"PAR1")
    memory.pipe("/input/3.csv", b"")
    with pytest.raises(InputError, match=r"2\.parquet: not a readable Parquet file .*; memory://.*3\.csv: empty"):
        whole("memory://input")


def test_an_input_path_may_be_given_as_a_file_uri(digits, tmp_path):
    digits.to_csv(tmp_path / "rows.csv", index=False)
    assert len(whole(f"file://{tmp_path}/rows.csv")) == len(digits)
    with pytest.raises(InputError, match="would be read as part of"):
        inputs.check(f"file://{tmp_path}", tmp_path / "predictions.csv")


WITHOUT_LABELS = {
    "an npz of x": lambda f, p: np.savez(p / "rows.npz", x=pixels_of(f).reshape(-1, 28, 28)),
    "an npz of x_test beside x_train": lambda f, p: np.savez(p / "rows.npz", x_train=[1], x_test=pixels_of(f)),
    "an npz of an array without a name": lambda f, p: np.savez(p / "rows.npz", pixels_of(f)),
    "an npz stored column by column": lambda f, p: np.savez(p / "rows.npz", np.asfortranarray(pixels_of(f))),
    "an npz of floats": lambda f, p: np.savez_compressed(p / "rows.npz", pixels_of(f).astype(float)),
    "a csv": lambda f, p: f.iloc[:, 1:].to_csv(p / "rows.csv", index=False),
    "a csv without a header": lambda f, p: f.iloc[:, 1:].to_csv(p / "rows.csv", index=False, header=False),
    "a parquet file": lambda f, p: f.iloc[:, 1:].to_parquet(p / "rows.parquet"),
    "an IDX file": lambda f, p: (p / "rows.bin").write_bytes(source_files.idx_images(f)),
    "a gzipped IDX file": lambda f, p: (p / "rows.gz").write_bytes(gzip.compress(source_files.idx_images(f))),
}


@pytest.mark.parametrize("name", WITHOUT_LABELS)
def test_inputs_need_no_labels(name, digits, tmp_path):
    WITHOUT_LABELS[name](digits, tmp_path)
    (source,) = tmp_path.iterdir()
    found = whole(source)
    assert "label" not in found.columns
    assert (found.to_numpy() == pixels_of(digits)).all()


def test_only_the_test_part_of_a_source_is_predicted_on(tiny_npz, digits, tmp_path):
    assert len(whole(tiny_npz)) == 200
    assert len(whole("mnist", 4096)) == 10_000
    (source_files.idx(digits, tmp_path) / "t10k-images-idx3-ubyte").write_bytes(
        source_files.idx_images(digits.iloc[:7])
    )
    assert len(whole(tmp_path / "idx")) == 7
    source_files.pictures(digits.iloc[:50], tmp_path / "all").rename(tmp_path / "all" / "train")
    source_files.pictures(digits.iloc[50:70], tmp_path / "all").rename(tmp_path / "all" / "test")
    assert len(whole(tmp_path / "all")) == 20


@pytest.fixture
def scans(digits, tmp_path):
    """Return a folder of three pictures and two tables."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for name, image in zip(("b.png", "a.bmp", "c.jpg"), pixels_of(digits), strict=False):
        Image.fromarray(image.reshape(28, 28)).save(folder / name)
    (folder / ".DS_Store").write_bytes(b"\0")
    source_files.csv(digits.iloc[:2], folder)
    source_files.parquet(digits.iloc[:2], folder)
    return folder


def test_the_files_of_a_folder_are_read_sorted_by_name(scans):
    items = [item for frame in batches(scans) for item in frame.index]
    assert items == ["a.bmp", "b.png", "c.jpg", "rows.csv:0", "rows.csv:1", "rows.parquet:0", "rows.parquet:1"]


def test_patterns_and_single_pictures_are_inputs(scans):
    assert whole(scans / "*.[bp][mn][pg]").index.tolist() == [f"{scans}/a.bmp", f"{scans}/b.png"]
    assert whole(scans / "b.png").index.tolist() == [f"{scans}/b.png"]
    assert len(whole(scans.parent / "**" / "*.png")) == 1


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "nowhere.png",
            "nowhere.png: no such file or folder; .*an .npz, .npy, .*, picture, IDX, .* or .csv file",
        ),
        ("*.tif", r"\*.tif: no file; "),
        ("cifar10", "cifar10: photographs in colour"),
        ("empty", "empty: no file; "),
        ("nested", r"nested/deep: a folder; name its files by a pattern such as 'nested/deep/\*'"),
        ("noise.bin", "noise.bin: unknown content; expected mnist, fashion-mnist, an .npz"),
        ("pipe", "pipe: a pipe or a device; "),
        (" ", "--input is empty; "),
        ("s3://", "s3://: incomplete address"),
        ("s3:/bucket/rows.csv", "incomplete address"),
        ("x" * 300, "x{200}: can't be read"),
    ],
)
def test_bad_inputs_are_refused_at_once(source, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "nested" / "deep").mkdir(parents=True)
    (tmp_path / "noise.bin").write_bytes(bytes(range(9)))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=expected):
        inputs.check(source, tmp_path / "out.csv")


def csv_lines(frame):
    return frame.to_csv(index=False).encode().splitlines(keepends=True)


def late_word(frame):
    """Replace a number in the hundredth line by a word."""
    lines = csv_lines(frame)
    return b"".join([*lines[:99], lines[99].replace(b",0", b",x", 1)])


def test_a_later_file_of_another_layout_is_refused(scans, digits):
    digits.iloc[:2, 1:700].to_csv(scans / "z.csv", index=False)
    with pytest.raises(InputError, match=r"z\.csv: 699 columns; expected label, pixel0 … pixel783"):
        batches(scans)


def test_a_stray_file_is_refused_before_an_image_is_read(scans):
    (scans / "z.bin").write_bytes(bytes(9))
    with pytest.raises(InputError, match=r"z\.bin: nothing but zero bytes"):
        next(inputs.batches(str(scans), DEFAULT_INPUT_RULES, 1, strict=True))


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("scans", "scans/rows.csv"),
        ("scans", "scans/new.csv"),
        ("scans/rows.csv", "scans/../scans/rows.csv"),
        ("scans/*.csv", "scans/rows.csv"),
        ("scans/*.csv", "scans/new.csv"),
        ("./scans/*.csv", "scans/new.csv"),
        ("scans/**/*.csv", "scans/deep/new.csv"),
        ("scans/rows.csv", "link.csv"),
    ],
)
def test_an_output_that_is_part_of_the_input_is_refused(scans, source, output, monkeypatch):
    monkeypatch.chdir(scans.parent)
    (scans.parent / "link.csv").hardlink_to(scans / "rows.csv")
    with pytest.raises(InputError, match="would be read as part of"):
        inputs.check(source, Path(output))
    inputs.check(source, Path("elsewhere.csv"))


def test_an_output_beyond_the_depth_of_a_pattern_is_accepted(scans, monkeypatch):
    monkeypatch.chdir(scans.parent)
    inputs.check("scans/*.csv", Path("scans/deep/new.csv"))
    with pytest.raises(InputError, match="would be read as part of"):
        inputs.check(f"{scans}/*.csv", Path("scans/new.csv"))


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("label", [True, False])
def test_column_numbers_of_pandas_are_a_header(first, label, digits, tmp_path):
    names = {f"pixel{number}": str(number + first) for number in range(784)}
    few = digits.iloc[:5] if label else digits.iloc[:5, 1:]
    few.rename(columns=names).to_csv(tmp_path / "rows.csv", index=False)
    assert (whole(tmp_path / "rows.csv").to_numpy() == few.to_numpy()).all()


def test_line_numbers_in_errors_count_empty_lines(digits, tmp_path):
    lines = csv_lines(digits.iloc[:4])
    (tmp_path / "rows.csv").write_bytes(b"\n".join([*lines[:3], lines[3].replace(b",0", b",x", 1)]))
    with pytest.raises(InputError, match=r"line 7, column pixel\d+: expected a number, got 'x'"):
        batches(tmp_path / "rows.csv")


def test_faults_of_files_with_the_same_columns_name_their_own_file(digits, tmp_path):
    for name, label in (("good", "4"), ("bad", "dog")):
        digits.astype({"label": str}).assign(label=label).to_parquet(tmp_path / f"{name}.parquet", index=False)
    assert len(batches(tmp_path / "good.parquet"))
    with pytest.raises(InputError, match=r"bad\.parquet, column label: .* got 'dog'"):
        batches(tmp_path / "bad.parquet")


def test_parquet_columns_of_the_same_name_are_refused(digits, tmp_path):
    table = pa.Table.from_pandas(digits.iloc[:2], preserve_index=False)
    pq.write_table(table.append_column("pixel0", table["pixel1"]), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="two columns are named 'pixel0'"):
        batches(tmp_path / "rows.parquet")


@pytest.mark.parametrize(("bounds", "rows"), [((1, 1 << 30), 30), ((1, 0), 30), ((1 << 30, 1 << 30), 8)])
def test_parquet_rows_do_not_depend_on_how_row_groups_are_read(bounds, rows, digits, tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.sources.parquet_table.MIN_GROUP_ROWS", bounds[0])
    monkeypatch.setattr("tasks.sources.parquet_table.MAX_GROUP_BYTES", bounds[1])
    frame = digits.astype({"pixel5": "Int64", "pixel6": np.float32}).iloc[:100, ::-1]  # the label is the last column
    frame.iloc[70, 778] = pd.NA
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=rows, index=False)
    read = pd.concat(parquet_table.batches(tmp_path / "rows.parquet", DEFAULT_INPUT_RULES, 16))
    expected = frame[list(digits.columns)].astype(np.float64)
    assert read.astype(np.float64).equals(expected)


def test_parquet_batches_of_bytes_have_more_rows(digits, tmp_path, monkeypatch):
    digits.to_parquet(tmp_path / "bytes.parquet", index=False)
    digits.astype(np.float64).to_parquet(tmp_path / "wide.parquet", index=False)
    assert parquet_table.batch_rows(tmp_path / "bytes.parquet", DEFAULT_INPUT_RULES, 100) == 800
    assert parquet_table.batch_rows(tmp_path / "wide.parquet", DEFAULT_INPUT_RULES, 100) == 100
    missing = digits.astype("UInt8")
    missing.iloc[3, 70] = pd.NA
    missing.to_parquet(tmp_path / "missing.parquet", index=False)
    assert parquet_table.batch_rows(tmp_path / "missing.parquet", DEFAULT_INPUT_RULES, 100) == 100, (
        "they become wide ones"
    )
    monkeypatch.setattr("tasks.sources.parquet_table.MAX_GROUP_BYTES", 0)
    assert parquet_table.batch_rows(tmp_path / "bytes.parquet", DEFAULT_INPUT_RULES, 100) == 100, (
        "its row groups aren't in memory anyway"
    )
    assert parquet_table.batch_rows(tmp_path / "none.parquet", DEFAULT_INPUT_RULES, 100) == 100


DAMAGED = {
    "images cut short": (lambda f: source_files.idx_images(f)[:-5], "ends at byte"),
    "images that go on": (lambda f: source_files.idx_images(f) + b"!", "goes on after byte"),
    "labels in place of images": (source_files.idx_labels, "unknown content"),
    "a line cut short": (
        lambda f: b"".join(csv_lines(f)[:50]) + b"1,2\n",
        "line 51: expected 785 columns, as in line 1, got 2",
    ),
    "a word late in the file": (late_word, r"line 100, column pixel\d+: expected a number, got 'x'"),
    "an endless line": (lambda f: b"".join(csv_lines(f)[:9]) + b"1" * 3_000_000, "line 10 is longer than"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_fault_late_in_a_file_is_located(name, digits, tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.sources.csv_text.BLOCK_BYTES", 50_000)  # so that it comes in a later block
    spoil, expected = DAMAGED[name]
    (tmp_path / "rows").write_bytes(spoil(digits))
    with pytest.raises(InputError, match=expected):
        batches(tmp_path / "rows")


@pytest.mark.parametrize("write", [source_files.npz, source_files.packed_npz, source_files.csv_gz, source_files.idx_gz])
def test_memory_of_batches_does_not_grow_with_the_file(write, tmp_path, digits, monkeypatch):
    monkeypatch.setattr("tasks.sources.csv_text.BLOCK_BYTES", 1 << 20)
    pixels = np.tile(pixels_of(digits), (60, 1))
    source = write(labelled_frame(pixels, np.tile(labels_of(digits), 60)), tmp_path)
    del pixels
    tracemalloc.start()
    rows = sum(len(frame) for frame in inputs.batches(str(source), DEFAULT_INPUT_RULES, 256))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 24_000
    assert peak < 10_000_000, "all rows are 18.8 million bytes"


def test_parquet_holds_a_page_per_column_in_memory(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (784, 150_000), np.uint8)
    path = tmp_path / "rows.parquet"
    names = [f"pixel{number}" for number in range(784)]
    plain = {"use_dictionary": False, "compression": "none"}
    pq.write_table(pa.table(list(pixels), names=names), path, row_group_size=150_000, **plain)
    code = (
        "import sys, pyarrow\n"
        "from schemas.rules import DEFAULT_INPUT_RULES\n"
        "from tasks.sources import inputs\n"
        "print(sum(len(frame) for frame in inputs.batches(sys.argv[1], DEFAULT_INPUT_RULES, 256)))\n"
        "print(pyarrow.default_memory_pool().max_memory())"
    )
    run = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=True)
    rows, peak = map(int, run.stdout.split())
    assert rows == 150_000
    assert peak < 250_000_000, "the one row group is 470 million bytes"
