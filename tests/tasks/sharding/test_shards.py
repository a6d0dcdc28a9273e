"""Sharded sources: the same rows are the same data, however they are cut into files; every bad file is named."""

import contextlib
import errno
import itertools
import os
import re
import time

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFile
from samples import draw_digits

from artifacts.files import TEMPORARY_PREFIX
from artifacts.reports import validation_report
from artifacts.store.folder_storage import RETIRED_PREFIX, FolderStorage
from artifacts.store.storage import storage_at
from schemas.errors import InputError, StorageError, StoreError, UnavailableError
from schemas.pixel_frame import labelled_frame
from schemas.results import RawDataset
from schemas.rules import DEFAULT_RULES, Rules
from schemas.shards import Shard, ShardManifest
from tasks import cache_shards
from tasks.sharding import shard_cache, shard_writer
from tasks.sharding.shard_cache import ShardCache, ShardJob, in_threads
from tasks.sources import datasets, shards
from tasks.validation import inspection, profiles

RULES = Rules(max_quarantined=0.2, drift="warning")


def spoiled_frame(rows, seed):
    """Draw digits, some of which fail each row check."""
    frame = labelled_frame(*draw_digits(rows, seed)).astype(np.float64)
    frame.loc[3, "pixel5"] = np.nan
    frame.loc[50, "pixel7"] = 300
    frame.loc[77, "label"] = 12
    frame.iloc[101, 1:] = 0
    frame.iloc[202, 1:] = frame.iloc[4, 1:]
    frame.loc[202, "label"] = frame.loc[4, "label"]  # repeats
    frame.iloc[303, 1:] = frame.iloc[7, 1:]
    frame.loc[303, "label"] = (frame.loc[7, "label"] + 1) % 10  # contradicts
    return frame


@pytest.fixture(scope="module")
def train():
    return spoiled_frame(600, seed=1)


@pytest.fixture(scope="module")
def frame_to_test(train):
    frame = labelled_frame(*draw_digits(200, seed=2))
    frame.iloc[9, 1:] = train.iloc[11, 1:].astype(np.uint8)  # leaks
    return frame


def cut(frame, folder, count, kind="parquet"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate(np.array_split(np.arange(len(frame)), count)):
        piece = frame.iloc[rows]
        path = folder / f"part-{number:03}.{kind}"
        write_parquet(piece, path) if kind == "parquet" else piece.to_csv(path, index=False)
    return folder


def write_parquet(frame, path):
    """Write a frame of one type; `to_parquet` takes five times as long for 785 columns."""
    columns = [pa.array(column, from_pandas=True) for column in frame.to_numpy().T]
    pq.write_table(pa.table(columns, names=list(frame.columns)), path)


def inspected(source, test_source, work, rules=RULES):
    loaded = datasets.load(str(source), str(test_source), rules)
    return inspection.inspect(loaded, rules, profiles.load_embedded(), ShardCache(FolderStorage(work), in_threads))


def counted(validation):
    return {
        (part, reason): len(rows)
        for (part, reason), rows in validation.quarantined.groupby(["part", "reasons"]).groups.items()
    }


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
    text = "\n".join(validation_report.body(found, str, "quarantine/1"))
    assert "The input rows (the first 3 of each part) are in `quarantine/1`." in text


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


@pytest.mark.parametrize(
    ("method", "expected"), [("ls", "slow: can't be listed"), ("open", r"0\.parquet: can't be read")]
)
def test_an_unreachable_address_is_an_unavailable_error(monkeypatch, method, expected):
    memory = fsspec.filesystem("memory")
    memory.pipe("/slow/0.parquet", b"PAR1")

    def fail(*_, **__):
        raise RuntimeError("slow down")

    monkeypatch.setattr(type(memory), method, fail)
    with pytest.raises(UnavailableError, match=rf"^memory://.*{expected} \(slow down\)"):
        shards.list_shards("memory://slow")


def test_an_unreachable_address_is_no_fault_of_its_shards(train, frame_to_test, tmp_path, monkeypatch):
    memory = fsspec.filesystem("memory")
    for path in cut(train, tmp_path / "train", 3).iterdir():
        memory.pipe(f"/away/{path.name}", path.read_bytes())
    tests = cut(frame_to_test, tmp_path / "test", 1)

    def fail(*_):
        raise ConnectionError("no route")

    monkeypatch.setattr(type(memory), "get_file", fail)
    with pytest.raises(UnavailableError, match=r"memory://.*can't be fetched \(no route\)"):
        inspected("memory://away", tests, tmp_path / "work", RULES.model_copy(update={"max_quarantined": 1}))


@pytest.mark.parametrize("kind", [UnavailableError, StorageError, StoreError])
def test_a_cache_that_cannot_be_written_is_no_fault_of_a_shard(train, frame_to_test, tmp_path, monkeypatch, kind):
    """A shard is at fault for its content, not for where it is cached."""
    memory = fsspec.filesystem("memory")
    for path in cut(train, tmp_path / "train", 3).iterdir():
        memory.pipe(f"/uncached/{path.name}", path.read_bytes())
    tests = cut(frame_to_test, tmp_path / "test", 1)
    rules = RULES.model_copy(update={"max_quarantined": 1})
    with monkeypatch.context() as patch:
        patch.setattr(shard_cache, "_write", fails_once(shard_cache._write, kind("the store: not now")))
        with pytest.raises(kind, match="the store: not now"):
            inspected("memory://uncached", tests, tmp_path / "work", rules)
    _, dataset = inspected("memory://uncached", tests, tmp_path / "work", rules)
    assert len(dataset.train) > 550


def fails_once(function, error):
    """Return a function whose first call fails."""
    failed = []

    def call(*arguments):
        if not failed:
            failed.append(1)
            raise error
        return function(*arguments)

    return call


@pytest.mark.parametrize("large", [False, True])
def test_a_busy_object_store_is_no_fault_of_a_shard(train, tmp_path, monkeypatch, large):
    """Object stores raise OSError when they are busy; damaged files do so, too."""
    memory = fsspec.filesystem("memory")
    (path,) = cut(train, tmp_path / "train", 1).iterdir()
    memory.pipe("/busy/0.parquet", path.read_bytes())
    monkeypatch.setattr(shards, "TAIL_BYTES", 64 if large else shards.TAIL_BYTES)
    assert shards.list_shards("memory://busy").shards[0].n_rows == len(train)
    read, calls = MemoryFile.read, []

    def busy(self, *given):
        calls.append(1)
        if len(calls) == (3 if large else 2):
            raise OSError(errno.EBUSY, "SlowDown")
        return read(self, *given)

    monkeypatch.setattr(MemoryFile, "read", busy)
    with pytest.raises(UnavailableError, match=r"^memory://.*0\.parquet: can't be read \(SlowDown\)"):
        shards.list_shards("memory://busy")


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (FileNotFoundError("no such key"), contextlib.nullcontext()),
        (
            PermissionError("the token has expired"),
            pytest.raises(StorageError, match=r"001.*\(the token has expired\)"),
        ),
    ],
)
def test_a_missing_shard_is_bad_but_a_forbidden_one_ends_the_run(train, tmp_path, monkeypatch, error, found):
    """Otherwise, credentials that expire would make all later shards bad ones."""
    memory = fsspec.filesystem("memory")
    for path in cut(train, tmp_path / "train", 3).iterdir():
        memory.pipe(f"/own/{path.name}", path.read_bytes())
    opened = type(memory).open

    def refuse(self, path, *given, **others):
        if "001" in path:
            raise error
        return opened(self, path, *given, **others)

    monkeypatch.setattr(type(memory), "open", refuse)
    with found:
        first, gone, last = shards.list_shards("memory://own").shards
        assert (first.n_rows, gone.n_rows, last.n_rows) == (200, None, 200)
        assert gone.fault == "memory:///own/part-001.parquet: can't be read (no such key)"


def test_missing_credentials_are_a_storage_error(monkeypatch):
    from botocore.exceptions import NoCredentialsError

    def refuse(*_, **__):
        raise NoCredentialsError

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "isdir", refuse)
    with pytest.raises(StorageError, match=r"memory://mine: can't be listed \(Unable to locate credentials\)"):
        shards.list_shards("memory://mine")


def rewritten(path):
    """Replace a shard by one with other images."""
    labelled_frame(*draw_digits(150, seed=9)).to_parquet(path, index=False)


@pytest.mark.parametrize("change", [rewritten, lambda path: path.unlink()])
def test_a_shard_that_changes_while_it_is_cached_is_unavailable(train, frame_to_test, tmp_path, monkeypatch, change):
    source, tests = cut(train, tmp_path / "train", 4), cut(frame_to_test, tmp_path / "test", 1)
    write, changed = shard_cache.write_shard, []

    def write_late(path, *args, **options):
        if not changed and path.name == "part-002.parquet":
            changed.append(change(path))
        write(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shard_cache, "write_shard", write_late)
        with pytest.raises(UnavailableError, match=r"part-002\.parquet: changed while the run read it$"):
            inspected(source, tests, tmp_path / "work")
    assert not list((tmp_path / "work").glob(".*")), "nothing half-written is left"
    rules = RULES.model_copy(update={"max_quarantined": 0.3})
    again, _ = inspected(source, tests, tmp_path / "work", rules)
    fresh, _ = inspected(source, tests, tmp_path / "other", rules)
    assert counted(again) == counted(fresh), "nothing of the old file is used for the new one"


@pytest.mark.parametrize("change", [rewritten, lambda path: path.unlink()])
def test_quarantined_rows_are_never_those_of_a_replaced_file(train, frame_to_test, tmp_path, change):
    """A shard that changes between caching and reading its quarantined rows is unavailable."""
    source, tests = cut(train, tmp_path / "train", 4), cut(frame_to_test, tmp_path / "test", 1)

    def cache_then_change(jobs):
        cached = in_threads(jobs)
        if jobs[0].shard.address.startswith(str(source)):
            change(source / "part-000.parquet")
        return cached

    loaded = datasets.load(str(source), str(tests), RULES)
    with pytest.raises(UnavailableError, match=r"part-000\.parquet: changed while the run read it$"):
        inspection.inspect(
            loaded, RULES, profiles.load_embedded(), ShardCache(FolderStorage(tmp_path / "work"), cache_then_change)
        )


def test_quarantined_rows_of_a_removed_object_are_unavailable(train, frame_to_test, tmp_path):
    memory = fsspec.filesystem("memory")
    for path in cut(train, tmp_path / "train", 3).iterdir():
        memory.pipe(f"/going/{path.name}", path.read_bytes())

    def cache_then_remove(jobs):
        cached = in_threads(jobs)
        if jobs[0].shard.address.startswith("memory"):
            memory.rm("/going/part-000.parquet")
        return cached

    loaded = datasets.load("memory://going", str(cut(frame_to_test, tmp_path / "test", 1)), RULES)
    with pytest.raises(UnavailableError, match=r"part-000\.parquet: changed while the run read it$"):
        inspection.inspect(
            loaded, RULES, profiles.load_embedded(), ShardCache(FolderStorage(tmp_path / "work"), cache_then_remove)
        )


def test_a_shard_that_is_removed_before_it_is_cached_is_named(train, frame_to_test, tmp_path):
    source = cut(train, tmp_path / "train", 6)
    loaded = datasets.load(str(source), str(cut(frame_to_test, tmp_path / "test", 1)), RULES)
    (source / "part-003.parquet").unlink()
    place = FolderStorage(tmp_path / "work")
    found, dataset = inspection.inspect(loaded, RULES, profiles.load_embedded(), ShardCache(place, in_threads))
    assert dataset is not None, found.refusal
    (message,) = [finding.message for finding in found.findings if finding.check == "shards"]
    assert "part-003.parquet: can't be read (No such file or directory)" in message


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


def test_a_rerun_caches_only_new_shards(train, frame_to_test, tmp_path, monkeypatch):
    cached = []
    write = shard_cache._write
    monkeypatch.setattr(shard_cache, "_write", lambda path, *rest: (cached.append(path.name), write(path, *rest)))
    source, tests = cut(train.iloc[:500], tmp_path / "train", 4), cut(frame_to_test, tmp_path / "test", 1)
    inspected(source, tests, tmp_path / "work")
    assert len(cached) == 5
    cached.clear()
    train.iloc[500:].to_parquet(source / "part-900.parquet", index=False)
    _, dataset = inspected(source, tests, tmp_path / "work")
    assert cached == ["part-900.parquet"]
    assert len(dataset.train) > 550


def test_damaged_cached_shards_are_cached_again(train, frame_to_test, tmp_path):
    source, tests = cut(train, tmp_path / "train", 3), cut(frame_to_test, tmp_path / "test", 1)
    _, before = inspected(source, tests, tmp_path / "work")
    cached = sorted(path for path in (tmp_path / "work").iterdir())
    (cached[0] / "summary.json").unlink()
    (cached[1] / "pixels.npy").write_bytes(b"short")
    (cached[2] / "labels.npy").unlink()
    _, again = inspected(source, tests, tmp_path / "work")
    assert again.fingerprint == before.fingerprint
    np.testing.assert_array_equal(again.train.read(slice(None)), before.train.read(slice(None)))
    assert sorted((tmp_path / "work").iterdir()) == cached


def test_shards_unused_for_two_weeks_are_swept(tmp_path):
    under_way = f"{TEMPORARY_PREFIX}under_wy"
    killed = (f"{TEMPORARY_PREFIX}killed__", f"{RETIRED_PREFIX}{'0' * 32}", f"{shards.COPY_PREFIX}killed")
    for name, days in (("used", 13), ("unused", 15), *((name, 2) for name in killed), (under_way, 0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pixels.npy").touch()
        then = time.time() - days * 86_400
        os.utime(tmp_path / name, (then, then))
    shard_cache.sweep(FolderStorage(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"used", under_way}


def test_a_full_disk_is_reported_and_a_rerun_resumes(train, frame_to_test, tmp_path, monkeypatch):
    source, tests = cut(train, tmp_path / "train", 4), cut(frame_to_test, tmp_path / "test", 1)
    write, calls = shard_writer._Writer.write_summary, []

    def full(writer):
        calls.append(1)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(writer)

    work = re.escape(str(tmp_path / "work"))
    with monkeypatch.context() as patch:
        patch.setattr(shard_writer._Writer, "write_summary", full)
        with pytest.raises(
            StorageError, match=rf"{work}/\w+: can't be used \(No space left on device\); free some space"
        ):
            inspected(source, tests, tmp_path / "work")
    left = [entry.name for entry in (tmp_path / "work").iterdir()]
    assert len(left) == 2
    assert not [name for name in left if name.startswith(".")]
    _, dataset = inspected(source, tests, tmp_path / "work")
    assert dataset is not None


def test_folder_pattern_and_address_give_the_same_dataset(train, frame_to_test, tmp_path):
    folder = cut(train, tmp_path / "train", 3)
    tests = cut(frame_to_test, tmp_path / "test", 1)
    _, of_folder = inspected(folder, tests, tmp_path / "work")
    _, of_pattern = inspected(folder / "part-*.parquet", tests, tmp_path / "work")
    memory = fsspec.filesystem("memory")
    for path in folder.iterdir():
        memory.pipe(f"/digits/{path.name}", path.read_bytes())
    _, of_address = inspected("memory://digits", tests, tmp_path / "work")
    assert of_folder.fingerprint == of_pattern.fingerprint == of_address.fingerprint


def test_patterns_at_an_address_skip_hidden_and_marker_files(train, tmp_path):
    """Engines leave `_SUCCESS` and hidden files. Rows are named by folder and file."""
    folder, memory = cut(train, tmp_path / "train", 2), fsspec.filesystem("memory")
    for path in folder.iterdir():
        for day in ("monday", "tuesday"):
            memory.pipe(f"/days/{day}/{path.name}", path.read_bytes())
    for name in ("monday/_SUCCESS", "monday/.part.crc", ".staging/part-003.parquet"):
        memory.pipe(f"/days/{name}", b"")
    found = shards.list_shards("memory://days/*/*").shards
    assert [shard.item for shard in found] == [
        f"{day}/part-00{number}.parquet" for day in ("monday", "tuesday") for number in (0, 1)
    ]
    assert [shard.item for shard in shards.list_shards("memory://days/monday/*").shards] == [
        "part-000.parquet",
        "part-001.parquet",
    ]
    for spelled in (".staging", ".st*"):
        assert [shard.item for shard in shards.list_shards(f"memory://days/{spelled}/*").shards] == ["part-003.parquet"]


def test_a_sharded_path_may_be_given_as_a_file_uri(train, frame_to_test, tmp_path, monkeypatch):
    cut(train, tmp_path / "train", 2)
    tests = cut(frame_to_test, tmp_path / "test", 1)
    monkeypatch.chdir(tmp_path)
    for source in (f"file://{tmp_path}/train", "file://train", "file://train/*.parquet"):
        loaded = datasets.load(source, str(tests), RULES)
        assert len(loaded.train.shards) == 2
    assert datasets.load("file://train", None, RULES).source == str(tmp_path / "train"), "from anywhere, later"


def test_a_link_to_itself_in_a_pattern_is_a_bad_shard(train, tmp_path):
    folder = cut(train, tmp_path / "train", 2)
    (folder / "part-002.parquet").symlink_to("part-002.parquet")
    *_, looped = shards.list_shards(f"{folder}/*.parquet").shards
    assert looped.fault.endswith("part-002.parquet: can't be read (Too many levels of symbolic links)")


def test_shards_may_have_names_like_mnists_files(train, tmp_path):
    folder = cut(train, tmp_path / "train", 2)
    for path in folder.iterdir():
        path.rename(path.with_name(f"train-images-{path.name}"))
    assert len(datasets.load(str(folder), None, RULES).train.shards) == 2


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("memory://nothing-here", "can't be listed|no shards"),
        ("nothing://digits", "nothing://digits: "),
        ("shards/*.parquet", r"shards/\*\.parquet: "),
    ],
)
def test_sources_without_shards_are_refused(source, expected):
    with pytest.raises(InputError, match=expected):
        shards.list_shards(source)


def test_shards_cached_at_an_address_are_fetched_on_another_machine(
    train, frame_to_test, tmp_path, bucket, monkeypatch
):
    """One machine caches, another one without copies trains, then one with all copies caches again."""
    source, tests = cut(train, tmp_path / "train", 4), cut(frame_to_test, tmp_path / "test", 1)
    _, of_folder = inspected(source, tests, tmp_path / "work")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))
    place = storage_at(f"{bucket}/shards", keep_copies=True)
    loaded = datasets.load(str(source), str(tests), RULES)
    _, dataset = inspection.inspect(loaded, RULES, profiles.load_embedded(), ShardCache(place, in_threads))
    assert dataset.fingerprint == of_folder.fingerprint
    assert len(place.names()) == 5
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    pixels = dataset.train.read(slice(None))
    np.testing.assert_array_equal(pixels, of_folder.train.read(slice(None)))
    for copy in (tmp_path / "there").rglob("pixels.npy"):
        copy.unlink()  # as by what cleans caches
    np.testing.assert_array_equal(dataset.train.read(slice(None)), pixels)
    files = fsspec.filesystem("s3")
    (gone, *_others) = place.names()
    files.rm_file(f"{bucket}/shards/{gone}/pixels.npy")  # as by a rule of the bucket
    cached, write = [], shard_cache._write
    monkeypatch.setattr(shard_cache, "_write", lambda *given: (cached.append(given[1]), write(*given)))
    _, again = inspection.inspect(loaded, RULES, profiles.load_embedded(), ShardCache(place, in_threads))
    assert cached == [gone]
    np.testing.assert_array_equal(again.train.read(slice(None)), pixels)
    place.remove_folder(gone)
    with pytest.raises(StoreError, match=rf"{gone}: removed; run again to cache the shard again"):
        [images.read(slice(None)) for images in (again.train, again.test)]


def test_the_shard_cache_depends_on_the_code_of_every_shard_reader(monkeypatch, tmp_path):
    """A registry names readers by strings, which the digest of what imports say wouldn't cover."""
    digested = []
    monkeypatch.setattr(shard_cache, "code_digest", lambda *modules: digested.append(modules) or "code")
    job = ShardJob(Shard("rows.csv", "rows.csv"), FolderStorage(tmp_path), DEFAULT_RULES, "from 0 to 255")
    shard_cache._key("content", job)
    assert set(digested[0]) >= {"tasks.sources.csv_table", "tasks.sources.parquet_table"}


@pytest.mark.parametrize("count", [1, 12, 128, 129, 2000])
def test_thousands_of_shards_share_few_tasks(count):
    """Prefect takes 60 ms for a task, so that 2,000 small shards took two minutes."""
    groups = cache_shards._group(range(count))
    assert [*itertools.chain(*groups)] == list(range(count))
    assert len(groups) <= cache_shards.MAX_TASKS
    assert len(groups) == count or min(map(len, groups[:-1])) > 1
