"""Every format: rows are read as they were written, and the same rows have the same fingerprint."""

import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
import source_files
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from samples import fingerprint_of

from schemas.errors import InputError
from schemas.pixel_frame import labelled_frame, labels_of, pixels_of
from schemas.rules import DEFAULT_RULES, Rules
from tasks.sources import datasets
from tasks.validation import inspection, profiles


def load(source, test_source=None, rules=DEFAULT_RULES):
    return datasets.load(str(source), test_source and str(test_source), rules)


@st.composite
def frames(draw):
    rows = draw(st.integers(1, 9))
    pixels = draw(arrays(np.uint8, (rows, 784), elements=st.integers(0, 255), fill=st.sampled_from([0, 1, 255])))
    return labelled_frame(pixels, draw(arrays(np.uint8, rows, elements=st.integers(0, 9))))


@pytest.mark.parametrize("name", source_files.TABLES)
@settings(max_examples=8, deadline=None)
@given(train=frames(), test=frames())
def test_any_valid_frame_is_read_as_written(name, train, test):
    rules = Rules(label_column="1") if name == "csv without header" else DEFAULT_RULES  # any pixels, any labels
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        loaded = load(source_files.ALL[name](train, Path(one)), source_files.ALL[name](test, Path(two)), rules)
    assert loaded.train.equals(train)
    assert fingerprint_of(loaded.train, loaded.test) == fingerprint_of(train, test)


@pytest.mark.parametrize("label_column", ["truth", "1"])
def test_label_column_names_the_column_of_a_table(digits, tmp_path, label_column):
    digits.rename(columns={"label": "truth"}).to_parquet(tmp_path / "rows.parquet", index=False)
    with pytest.raises(InputError, match="or --label-column"):
        datasets.check_headers(str(tmp_path / "rows.parquet"), rules=DEFAULT_RULES)
    assert load(tmp_path / "rows.parquet", rules=Rules(label_column=label_column)).train.equals(digits)


def test_pictures_of_mnists_digits_are_read_unchanged(digits, tmp_path):
    ordered = digits.sort_values("label", kind="stable")
    loaded = load(source_files.pictures(ordered, tmp_path)).train
    assert (loaded.to_numpy() == ordered.to_numpy()).all()
    assert loaded.index[0] == "0/000000.png"


def test_the_same_rows_have_one_fingerprint_in_every_format(digits, tmp_path):
    half = len(digits) // 2
    train, test = digits.iloc[:half], digits.iloc[half:]
    found = set()
    for name, write in source_files.TABLES.items():
        places = [tmp_path / name / part for part in ("train", "test")]
        for place in places:
            place.mkdir(parents=True)
        loaded = load(write(train, places[0]), write(test, places[1]))
        found.add(fingerprint_of(loaded.train, loaded.test))
    assert found == {fingerprint_of(train, test)}


def test_the_fingerprint_depends_on_rows_labels_and_parts(digits):
    train, test = digits.iloc[:20], digits.iloc[20:30]
    relabelled = labelled_frame(pixels_of(train), (labels_of(train) + 1) % 10)
    found = [
        fingerprint_of(*frames)
        for frames in ((train, test), (test, train), (train.iloc[:19], test), (relabelled, test), (train[::-1], test))
    ]
    assert len(set(found)) == len(found)


def test_a_picture_folder_may_have_train_and_test_parts(digits, tmp_path):
    source_files.pictures(digits.iloc[:50], tmp_path / "all").rename(tmp_path / "all" / "train")
    source_files.pictures(digits.iloc[50:70], tmp_path / "all").rename(tmp_path / "all" / "test")
    loaded = load(tmp_path / "all")
    assert (len(loaded.train), len(loaded.test)) == (50, 20)


def test_a_test_source_replaces_the_sources_own_part(digits, tmp_path, tiny_npz):
    loaded = load(tiny_npz, source_files.csv(digits.iloc[:30], tmp_path))
    assert (len(loaded.train), len(loaded.test)) == (600, 30)
    assert loaded.name == "tiny.npz with rows.csv"
    assert len(load(source_files.csv(digits.iloc[:30], tmp_path), tiny_npz).test) == 200


def test_a_format_is_recognised_by_content_not_by_name(digits, tmp_path):
    misnamed = source_files.parquet(digits, tmp_path).rename(tmp_path / "rows.csv")
    assert load(misnamed).train.equals(digits)


def test_corrected_rows_of_the_quarantine_are_a_source(digits, tmp_path):
    corrected = digits.copy()
    for position, (name, value) in enumerate((("part", "train"), ("item", "7"), ("reasons", "blank"))):
        corrected.insert(position, name, value)
    assert load(source_files.parquet(corrected, tmp_path)).train.equals(digits)
    assert load(source_files.csv(corrected, tmp_path)).train.equals(digits)


@pytest.mark.slow
@pytest.mark.parametrize("name", source_files.ALL)
def test_damaged_files_are_read_or_refused(name, digits, tmp_path, pytestconfig):
    """Bytes are changed, removed or doubled: readers return rows or raise InputError, nothing else."""
    few = digits.iloc[:12]
    source = source_files.ALL[name](few, tmp_path)
    files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    originals = {path: path.read_bytes() for path in files}
    chance = random.Random(name)  # noqa: S311, no secret
    reference = profiles.load_embedded()
    refused = 0
    for _ in range(pytestconfig.getoption("--fuzz")):
        path = chance.choice(files)
        path.write_bytes(damaged(originals[path], chance))
        message = None
        try:
            inspection.inspect(load(source), DEFAULT_RULES, reference)
        except InputError as error:
            message = str(error)
        if message is not None:
            refused += 1
            assert "\n" not in message
            assert str(tmp_path) in message
        path.write_bytes(originals[path])
    assert refused


def damaged(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    # Headers and footers are where most of a format's sense is.
    if chance.random() < 0.5:
        at = chance.choice([at % 64, len(content) - 1 - at % 64]) % len(content)
    length = chance.choice([1, 1, 2, 4, 16, 200])
    kind = chance.randrange(5)
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + content[at + length :]
    if kind == 2:
        return content[:at] + content[at : at + length] * 2 + content[at + length :]
    if kind == 3:
        return content[:at] + bytes([chance.choice([0, 0x7F, 0x80, 0xFF])]) * length + content[at + length :]
    return content[:at] + chance.randbytes(length) + content[at + length :]
