"""The cache of checked shards: used again, never for other rows, and repaired where it is damaged."""

import errno
import itertools
import os
import re
import time

import fsspec
import numpy as np
import pytest
from samples import draw_digits
from sharded import RULES, counted, cut, inspected

from artifacts.files import TEMPORARY_PREFIX
from artifacts.store.folder_storage import RETIRED_PREFIX, FolderStorage
from artifacts.store.storage import storage_at
from schemas.errors import StorageError, StoreError, UnavailableError
from schemas.pixel_frame import labelled_frame
from schemas.rules import DEFAULT_RULES
from schemas.shards import Shard
from tasks import cache_shards
from tasks.sharding import shard_cache, shard_writer
from tasks.sharding.shard_cache import ShardCache, ShardJob, in_threads
from tasks.sources import datasets, shards
from tasks.validation import inspection, profiles


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
    (cached[2] / "arrays.npz").unlink()
    (cached[3] / "summary.json").write_bytes(b"")  # as after a power failure
    _, again = inspected(source, tests, tmp_path / "work")
    assert again.fingerprint == before.fingerprint
    np.testing.assert_array_equal(again.train.read(slice(None)), before.train.read(slice(None)))
    assert sorted((tmp_path / "work").iterdir()) == cached


def test_arrays_are_flushed_before_a_cached_shard_appears(train, frame_to_test, tmp_path, monkeypatch):
    """A file with the right size but without its content would be trained on after a power failure."""
    source, tests = cut(train, tmp_path / "train", 1), cut(frame_to_test, tmp_path / "test", 1)
    work, flushed = tmp_path / "work", []

    def flush(descriptor):
        opened = os.fstat(descriptor)
        flushed.extend(path for path in work.rglob("*.np?") if os.path.samestat(path.stat(), opened))

    monkeypatch.setattr(os, "fsync", flush)
    inspected(source, tests, work)
    assert sorted(path.name for path in flushed) == ["arrays.npz"] * 2 + ["pixels.npy"] * 2
    assert all(path.parent.name.startswith(TEMPORARY_PREFIX) for path in flushed)


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
    write, calls = shard_writer._write_summary, []

    def full(*content):
        calls.append(1)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*content)

    work = re.escape(str(tmp_path / "work"))
    with monkeypatch.context() as patch:
        patch.setattr(shard_writer, "_write_summary", full)
        with pytest.raises(
            StorageError, match=rf"{work}/\w+: can't be used \(No space left on device\); free some space"
        ):
            inspected(source, tests, tmp_path / "work")
    left = [entry.name for entry in (tmp_path / "work").iterdir()]
    assert len(left) == 2
    assert not [name for name in left if name.startswith(".")]
    _, dataset = inspected(source, tests, tmp_path / "work")
    assert dataset is not None


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
    groups = cache_shards._group(range(count), 128)
    assert [*itertools.chain(*groups)] == list(range(count))
    assert len(groups) <= 128
    assert len(groups) == count or min(map(len, groups[:-1])) > 1
