"""The digest of a run's inputs: what changes it, and where it is in doubt."""

import os
from pathlib import Path

import pytest
from samples import publish

from artifacts import processor
from artifacts.store import known_inputs
from artifacts.store.store import Store
from schemas.compute import LOCAL
from schemas.recipe import PRESETS, Overrides
from schemas.review import Correction
from schemas.rules import Rules
from tasks.validation import input_digest
from tasks.validation.input_digest import Inputs, are_all_added, digest_inputs


@pytest.fixture
def inputs(tmp_path, tiny_npz, monkeypatch):
    """Return inputs with a source file and an inbox of one accepted file."""
    (tmp_path / "source.npz").write_bytes(tiny_npz.read_bytes())
    (tmp_path / "inbox" / "done").mkdir(parents=True)
    (tmp_path / "inbox" / "done" / "more.csv").write_text("1")
    monkeypatch.chdir(tmp_path)
    return Inputs("source.npz", "", "inbox", Rules(), PRESETS["fast"], Overrides(), LOCAL)


CHANGES = {
    "the source": lambda _: Path("source.npz").write_bytes(b"other"),
    "the time of an accepted file": lambda _: os.utime("inbox/done/more.csv", (1, 1)),
    "an accepted file": lambda _: Path("inbox/done/more.csv").write_text("2"),
    "another accepted file": lambda _: Path("inbox/done/new.csv").write_text("1"),
    "a variable": lambda patch: patch.setenv("TF_ENABLE_ONEDNN_OPTS", "0"),
    "a package": lambda patch: (Path("lib/numpy-9.dist-info").mkdir(parents=True), patch.syspath_prepend("lib")),
    "the code": lambda patch: patch.setattr(input_digest, "CODE", ("schemas",)),
}
FIELDS = {
    "test_source": "source.npz",
    "rules": Rules(min_test_rows=3),
    "preset": PRESETS["plain"],
    "overrides": Overrides(seed=1),
}
DOUBTS = {
    "a waiting file": lambda: Path("inbox/new.csv").write_text("1"),
    "no inbox": lambda: Path("inbox/done").rename("elsewhere"),
    "no source": lambda: Path("source.npz").unlink(),
    "a folder with a link": lambda: (
        Path("source.npz").unlink(),
        Path("source.npz").mkdir(),
        Path("source.npz/link").symlink_to(Path(os.devnull)),
    ),
}


def test_equal_inputs_have_equal_digests(inputs, monkeypatch):
    digest = digest_inputs(inputs)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")  # as importing TensorFlow does
    assert digest == digest_inputs(inputs)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_what_is_read_changes_it(inputs, monkeypatch, change):
    digest = digest_inputs(inputs)
    change(monkeypatch)
    assert digest_inputs(inputs) not in {digest, None}


def test_the_embedded_reference_profile_counts(inputs, monkeypatch):
    monkeypatch.setattr(input_digest, "ROOT", Path.cwd())
    digest = digest_inputs(inputs)
    Path("data").mkdir()
    Path("data/mnist-reference.npz").write_bytes(b"other")
    assert digest_inputs(inputs) not in {digest, None}


@pytest.mark.parametrize("recipe", ["best", "fast"])
def test_the_precision_of_the_training_counts(inputs, monkeypatch, recipe):
    """`best` trains its network in float32 on every processor, and its teacher in bfloat16 on some."""
    inputs = inputs._replace(preset=PRESETS[recipe])
    monkeypatch.setattr(processor, "_field", lambda _: "")
    digest = digest_inputs(inputs)
    monkeypatch.setattr(processor, "_field", lambda _: "avx512_bf16")
    assert (digest_inputs(inputs) != digest) is (recipe == "best")


def test_a_file_that_added_no_rows_is_noticed(inputs):
    accepted = str(Path("inbox/done/more.csv").resolve())
    correction = Correction("image-0", 7, "", "", "more.csv")
    assert are_all_added(inputs, [accepted], [])
    assert are_all_added(inputs, [], [correction, correction])
    assert not are_all_added(inputs, [], [])
    assert are_all_added(inputs._replace(inbox=""), [], [])


@pytest.mark.parametrize("field", FIELDS)
def test_a_changed_parameter_changes_it(inputs, field):
    other = inputs._replace(**{field: FIELDS[field]})
    assert digest_inputs(other) not in {digest_inputs(inputs), None}


@pytest.mark.parametrize("doubt", DOUBTS.values(), ids=DOUBTS)
def test_there_is_none_in_doubt(inputs, doubt):
    doubt()
    assert digest_inputs(inputs) is None


@pytest.mark.parametrize("source", ["s3://bucket/digits", "fashion-mnist", "*.npz"])
def test_there_is_none_of_sources_elsewhere(inputs, source):
    assert digest_inputs(inputs._replace(source=source)) is None


def test_large_sources_are_not_hashed(inputs, monkeypatch):
    monkeypatch.setattr(input_digest, "MAX_BYTES", 10)
    assert digest_inputs(inputs) is None


def test_a_record_counts_for_its_champion_and_digest_only(tmp_path):
    store = Store(tmp_path / "store")
    assert known_inputs.read(store, "key", "digest", "queue") is None
    known_inputs.write(store, "key", "digest", "fingerprint", champion=None)
    assert known_inputs.read(store, "key", "digest", "queue") == "fingerprint"
    assert known_inputs.read(store, "key", "other", "queue") is None
    known_inputs.write(store, "key", "digest", "fingerprint", champion=1)
    assert known_inputs.read(store, "key", "digest", "queue") is None
    store.inputs.write("key", b"{")
    assert known_inputs.read(store, "key", "digest", "queue") is None


def test_the_champion_of_the_same_data_is_no_other_champion(tmp_path):
    store = Store(tmp_path / "store")
    known_inputs.write(store, "key", "digest", "own", champion=None)
    publish(store, "own", promoted=True)
    assert known_inputs.read(store, "key", "digest", "queue") == "own"
    publish(store, "other", promoted=True)
    assert known_inputs.read(store, "key", "digest", "queue") is None


def test_a_champion_whose_files_have_changed_is_noticed(tmp_path):
    store = Store(tmp_path / "store")
    known_inputs.write(store, "key", "digest", "fingerprint", champion=1)
    publish(store, "other", promoted=True)
    assert known_inputs.read(store, "key", "digest", "queue") == "fingerprint"
    (tmp_path / "store" / "versions" / "1" / "report.md").write_text("changed")
    assert known_inputs.read(Store(store.uri), "key", "digest", "queue") is None
