"""Shards in folders, by patterns and at addresses, some of which can't be reached."""

import contextlib
import errno

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFile
from sharded import RULES, cut, inspected

from schemas.errors import InputError, StorageError, UnavailableError
from tasks.sources import datasets, shards


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
