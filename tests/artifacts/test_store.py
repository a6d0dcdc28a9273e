"""The store keeps its word: numbered, whole or absent, whatever happens to the process that writes."""

import multiprocessing
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from artifacts.store import Store
from schemas.errors import InputError


def publish(store: Store) -> int:
    with store.new_version() as (number, folder):
        (folder / "model.keras").write_bytes(b"weights")
        (folder / "metrics.json").write_text("{}")
    return number


def test_versions_count_from_one(tmp_path):
    store = Store(tmp_path / "store")
    assert store.versions() == []
    assert [publish(store), publish(store)] == [1, 2]
    assert store.versions() == [1, 2]
    assert {file.name for file in store.folder(2).iterdir()} == {"model.keras", "metrics.json"}


def test_a_number_is_not_given_again_when_its_version_was_removed(tmp_path):
    store = Store(tmp_path)
    publish(store)
    publish(store)
    shutil.rmtree(store.folder(2))
    assert publish(store) == 3


def test_a_failure_leaves_no_version_and_no_debris(tmp_path):
    store = Store(tmp_path)

    def fail_half_way() -> None:
        with store.new_version() as (_, folder):
            (folder / "model.keras").write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail_half_way()
    assert store.versions() == []
    assert not list((tmp_path / "versions").glob(".new-*"))
    publish(store)
    assert len(store.versions()) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
import artifacts.store
from artifacts.store import Store

countdown = int(sys.argv[2])
def counting(function):
    def call(*args, **kwargs):
        global countdown
        countdown -= 1
        if countdown < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call
for name in ("open", "fsync", "mkdir", "rename", "replace", "chmod", "unlink"):
    setattr(os, name, counting(getattr(os, name)))
with Store(Path(sys.argv[1])).new_version() as (number, folder):
    (folder / "model.keras").write_bytes(b"weights")
    (folder / "metrics.json").write_text("{}")
"""


def test_killed_at_any_file_operation_the_store_holds_whole_versions_and_goes_on(tmp_path):
    for point in range(100):
        store = Store(tmp_path / str(point))
        publish(store)
        ended = subprocess.run([sys.executable, "-c", KILLED, store.path, str(point)], check=False)
        for version in store.versions():
            assert {file.name for file in store.folder(version).iterdir()} == {"model.keras", "metrics.json"}
        before = store.versions()
        assert publish(store) not in before
        left = {entry.name for entry in (store.path / "versions").iterdir()}
        assert {name for name in left if name.startswith(".")} <= {".lock", ".last"}
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
    assert 8 < point < 99, "the kills reached every operation, the last run none"


def _publish_many(path: Path, queue: multiprocessing.Queue) -> None:
    queue.put([publish(Store(path)) for _ in range(10)])


def test_processes_that_publish_at_once_never_share_a_number(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_publish_many, args=(tmp_path, queue)) for _ in range(4)]
    for process in processes:
        process.start()
    numbers = [number for _ in processes for number in queue.get(timeout=60)]
    for process in processes:
        process.join()
    assert sorted(numbers) == list(range(1, 41)) == Store(tmp_path).versions()


def test_the_check_accepts_what_can_be_made_and_leaves_nothing(tmp_path):
    Store(tmp_path / "a" / "b").check_writable()
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_store_is_refused(tmp_path):
    (tmp_path / "store").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        Store(tmp_path / "store").check_writable()


def test_a_place_that_may_not_be_looked_at_is_refused(monkeypatch, tmp_path):
    def forbidden(_path, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", forbidden)
    with pytest.raises(InputError, match="Permission denied"):
        Store(tmp_path / "store").check_writable()


def test_a_place_that_takes_no_files_is_refused():
    with pytest.raises(InputError, match="can't be written"):
        Store(Path("/proc/store")).check_writable()


def test_the_work_of_a_published_training_goes_that_of_others_stays(tmp_path):
    store = Store(tmp_path)
    for fingerprint in ("mine", "theirs"):
        (store.work / fingerprint).mkdir(parents=True)
    store.remove_work("mine")
    assert [folder.name for folder in store.work.iterdir()] == ["theirs"]
    store.remove_work("theirs")
    assert not store.work.exists()
