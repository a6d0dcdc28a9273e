"""Sharded sources: the same rows are the same data, however they are cut into files; every bad file is named."""

import os
import sys

import numpy as np
import pandas as pd
import pytest
from samples import draw_digits
from sharded import RULES, counted, cut, inspected

from artifacts.reports import validation_report
from artifacts.store.folder_storage import FolderStorage
from schemas.errors import InputError
from schemas.pixel_frame import labelled_frame
from schemas.results import RawDataset
from schemas.rules import Rules
from schemas.shards import Shard, ShardManifest
from tasks.sharding import shard_cache
from tasks.sharding.shard_cache import ShardCache, in_threads
from tasks.sources import datasets
from tasks.validation import inspection, profiles


@pytest.mark.parametrize(("count", "kind"), [(1, "parquet"), (9, "parquet"), (5, "csv")])
def test_shards_of_any_size_give_the_same_dataset_as_one_frame(train, frame_to_test, tmp_path, count, kind):
    whole, dataset = inspection.inspect(RawDataset("whole", train, frame_to_test), RULES, profiles.load_embedded())
    source = cut(train, tmp_path / "train", count, kind)
    of_shards, same = inspected(source, cut(frame_to_test, tmp_path / "test", 3), tmp_path / "work")
    assert same.fingerprint == dataset.fingerprint
    assert counted(of_shards) == counted(whole)
    assert len(whole.quarantined) == 8
    assert of_shards.label_counts == whole.label_counts
    assert of_shards.n_valid == whole.n_valid
    assert of_shards.n_input == whole.n_input
    assert dataset.test_origin is None
    assert len(same.test_origin.slices) == 3
    assert np.unique(same.test_origin.numbers).tolist() == [0, 1, 2]
    assert of_shards.drifts == whole.drifts
    np.testing.assert_array_equal(of_shards.means, whole.means)
    for name in ("ink_edges", "score_edges", "ink_counts", "score_counts", "outlier_threshold"):
        np.testing.assert_array_equal(getattr(same.profile, name), getattr(dataset.profile, name))
    np.testing.assert_array_equal(same.train.read(slice(None)), dataset.train.read(slice(None)))
    np.testing.assert_array_equal(same.train.labels, dataset.train.labels)


def test_quarantined_rows_are_named_by_shard_and_row_and_unchanged(train, frame_to_test, tmp_path):
    source = cut(train, tmp_path / "train", 6)
    found, _ = inspected(source, cut(frame_to_test, tmp_path / "test", 1), tmp_path / "work")
    (row,) = found.quarantined[found.quarantined["item"] == "part-000.parquet:50"].to_dict("records")
    assert row["pixel7"] == 300


def test_a_large_quarantine_keeps_the_first_rows_and_says_so(train, frame_to_test, tmp_path, monkeypatch):
    monkeypatch.setattr(inspection, "MAX_QUARANTINED_ROWS", 3)
    found, _ = inspected(cut(train, tmp_path / "train", 6), cut(frame_to_test, tmp_path / "test", 1), tmp_path / "work")
    assert sum(found.n_quarantined.values()) == 8
    assert list(found.quarantined["item"]) == [f"part-000.parquet:{row}" for row in (3, 7, 11)]
    text = validation_report.validation_report(found, str, "quarantine/1")
    assert "The input rows (the first 3 of each part) are in `quarantine/1`." in text


def test_threads_take_short_turns_only_while_shards_are_cached(train, frame_to_test, tmp_path, monkeypatch):
    interval, during = sys.getswitchinterval(), []
    cache_shard = shard_cache.cache_shard
    monkeypatch.setattr(
        shard_cache, "cache_shard", lambda job: during.append(sys.getswitchinterval()) or cache_shard(job)
    )
    inspected(cut(train, tmp_path / "train", 2), cut(frame_to_test, tmp_path / "test", 1), tmp_path / "work")
    assert max(during) < interval == sys.getswitchinterval()


def test_too_little_memory_is_reported_before_a_shard_is_read(tmp_path):
    many = ShardManifest((Shard("digits.parquet", "digits.parquet", n_rows=8_100_000),))
    no_cache = ShardCache(FolderStorage(tmp_path), lambda _: pytest.fail("a shard was cached"))
    with pytest.raises(InputError, match=r"^--memory 1280: 8,100,000 rows need 1,488 MiB at least"):
        inspection.inspect(RawDataset("many", many, None), Rules(memory=1280), profiles.load_embedded(), no_cache)


def test_shards_without_test_part_are_split_as_one_frame_is(train, tmp_path):
    whole, dataset = inspection.inspect(
        RawDataset("whole", train, None), RULES.model_copy(update={"min_test_rows": 10}), profiles.load_embedded()
    )
    rules = RULES.model_copy(update={"min_test_rows": 10})
    loaded = datasets.load(str(cut(train, tmp_path / "train", 7)), None, rules)
    found, same = inspection.inspect(
        loaded, rules, profiles.load_embedded(), ShardCache(FolderStorage(tmp_path / "work"), in_threads)
    )
    assert found.n_valid == whole.n_valid
    assert same.fingerprint == dataset.fingerprint


def test_shards_are_relabelled_as_one_frame_is(tmp_path):
    right = labelled_frame(*draw_digits(600, seed=1))
    wrong = right.assign(label=right["label"].replace({0: 10, 3: 4, 4: 3}))
    source = cut(wrong, tmp_path / "train", 3)
    rules = RULES.model_copy(update={"relabel": "10=0,3=4,4=3", "min_test_rows": 10})
    loaded = datasets.load(str(source), None, rules)
    cache = ShardCache(FolderStorage(tmp_path / "work"), in_threads)
    _, dataset = inspection.inspect(loaded, rules, profiles.load_embedded(), cache)
    unchanged = rules.model_copy(update={"relabel": ""})
    _, same = inspection.inspect(RawDataset("right", right, None), unchanged, profiles.load_embedded())
    assert dataset.fingerprint == same.fingerprint


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def other_columns(path):
    pd.read_parquet(path).rename(columns={"pixel0": "ink"}).to_parquet(path, index=False)


def emptied(path):
    path.write_bytes(b"")


def without_rows(path):
    pd.read_parquet(path).iloc[:0].to_parquet(path, index=False)


def folder_instead(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (truncated, "not a readable Parquet file"),
        (other_columns, "'ink' in place of 'pixel0'"),
        (emptied, "empty; expected a .parquet, .arrow or .csv file"),
        (without_rows, "no rows"),
        (folder_instead, "a folder; expected a .parquet, .arrow or .csv file"),
        (lambda path: path.unlink() or os.mkfifo(path), "a pipe or a device; expected a .parquet, .arrow or .csv file"),
        (lambda path: path.unlink() or path.symlink_to("/etc/hostname"), "a link that leads out"),
        (lambda path: path.unlink() or path.symlink_to(path.name), "a link that leads to itself"),
    ],
)
def test_a_bad_shard_is_named_with_its_path(train, frame_to_test, tmp_path, spoil, expected):
    source = cut(train, tmp_path / "train", 4)
    bad = source / "part-002.parquet"
    spoil(bad)
    try:
        found, dataset = inspected(source, cut(frame_to_test, tmp_path / "test", 1), tmp_path / "work")
    except InputError as error:
        message = str(error)
    else:
        assert (dataset is None) == (spoil is not without_rows), "one without rows takes none away"
        message = "; ".join(finding.message for finding in found.findings)
    assert str(bad) in message
    assert expected in message


def test_bad_shards_are_left_out_if_the_budget_allows(train, frame_to_test, tmp_path):
    """An unreadable shard counts as the others' mean number of rows, one with a footer as the number in it."""
    source, tests = cut(train, tmp_path / "train", 30), cut(frame_to_test, tmp_path / "test", 1)
    truncated(source / "part-004.parquet")
    other_columns(source / "part-020.parquet")
    rules = RULES.model_copy(update={"max_quarantined": 0.1})
    found, dataset = inspected(source, tests, tmp_path / "work", rules)
    assert dataset is not None, found.refusal
    assert len(dataset.train) + found.n_quarantined["train"] == 560
    (message,) = [finding.message for finding in found.findings if finding.check == "shards"]
    assert message.startswith("2 shards of the train part, 40 of 600 rows, can't be used: ")
    assert "part-004.parquet" in message
    found, dataset = inspected(source, tests, tmp_path / "work", RULES.model_copy(update={"max_quarantined": 0.07}))
    assert dataset is None
    assert "had to be quarantined (40 in shards that can't be used" in found.refusal


def test_all_bad_shards_are_reported_at_once(train, frame_to_test, tmp_path):
    source = cut(train, tmp_path / "train", 5)
    truncated(source / "part-001.parquet")
    emptied(source / "part-003.parquet")
    found, dataset = inspected(source, cut(frame_to_test, tmp_path / "test", 1), tmp_path / "work")
    assert dataset is None
    assert all(found.refusal.count(name) == 1 for name in ("part-001.parquet", "part-003.parquet"))
    assert "240 of 600 rows, can't be used" in found.refusal
    assert "--max-quarantined allows 0.2 of them" in found.refusal


def test_shards_may_have_different_row_group_layouts(train, frame_to_test, tmp_path):
    source = cut(train, tmp_path / "train", 2)
    pd.read_parquet(source / "part-001.parquet").to_parquet(source / "part-001.parquet", index=False, row_group_size=7)
    found, dataset = inspected(source, cut(frame_to_test, tmp_path / "test", 1), tmp_path / "work")
    assert dataset is not None, found.refusal
