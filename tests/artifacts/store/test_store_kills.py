"""A store is whole after a kill at any file operation, and after eight processes that use it at once."""

import errno
import io
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from samples import ROOT, VERSION_FILES, promote, publish, store_of_three, visible_files

from artifacts.store import store as store_module
from artifacts.store.store import Store
from schemas.errors import InputError, StoreError


class Killed(BaseException):
    """Raised by every file operation of a process that was killed: none of its clean-up happens either."""


OPERATIONS = ("open", "fsync", "mkdir", "rename", "replace", "link", "chmod", "unlink", "rmdir")


def killed() -> BaseException:
    return Killed()


def disk_gone() -> BaseException:
    return OSError(errno.EIO, os.strerror(errno.EIO))


def count_operations(monkeypatch: pytest.MonkeyPatch, point: int, error: Callable[[], BaseException]) -> None:
    """Raise an error at the file operation of a number, and at all later ones."""
    count = 0

    def counted(operation):
        def call(*args, **kwargs):
            nonlocal count
            count += 1
            if count > point:
                raise error()
            return operation(*args, **kwargs)

        return call

    for name in OPERATIONS:
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    monkeypatch.setattr(io, "open", counted(io.open))


KILLED = """
import os, signal, sys
sys.path.insert(0, "tests/artifacts/store")
sys.path.insert(0, "tests")
import pytest
import test_store_kills
from artifacts.store.store import Store

class Sigkill(BaseException):
    def __init__(self):
        os.kill(os.getpid(), signal.SIGKILL)

store = Store(sys.argv[1])
with pytest.MonkeyPatch.context() as patch:
    test_store_kills.count_operations(patch, int(sys.argv[2]), Sigkill)
    test_store_kills.use(store)
"""


def use(store: Store) -> None:
    """Publish, promote, publish a champion and remove old versions."""
    promote(store, publish(store))
    publish(store, promoted=True, keep=2)


def check_after_kill(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that a store is whole, and that the next run can use it."""
    versions, champion = store.versions(), store.champion()
    assert champion in versions
    for version in versions:
        assert visible_files(store, version) == VERSION_FILES
        assert store.faults(version) == []
    history = store.history()
    promoted = [event["version"] for event in history if event["event"] == "promotion"]
    assert promoted == [1, 2, 4, 5][: len(promoted)]
    assert promoted[-1] == champion
    assert len(history) == store.state().event
    assert store.unreported() == versions, "no report is forgotten"
    published = [event["version"] for event in history if "card" in event]
    number = publish(store)
    assert number > max(published)
    promote(store, number)
    assert [event["version"] for event in store.history() if event["event"] == "promotion"] == [*promoted, number]
    publish(store, keep=1)
    monkeypatch.setattr(store_module, "DAY", -1)
    store.recover()
    assert store.versions() == sorted({champion, number, store.state().last_version})
    folder = Path(store.uri)
    assert {path.name for path in folder.glob("versions/*")} == set(map(str, store.versions()))
    assert not list(folder.rglob(".*")), "nothing half written is left"


@pytest.mark.parametrize("error", [killed, disk_gone])
def test_killed_at_any_file_operation_the_store_is_whole(tmp_path, monkeypatch, error):
    template = Path(store_of_three(tmp_path / "template").uri)
    for point in range(1000):
        store = Store(shutil.copytree(template, tmp_path / str(point)))
        with monkeypatch.context() as patch:
            count_operations(patch, point, error)
            try:
                use(store)
                ended = True
            except (Killed, InputError):  # a disk's error is one line
                ended = False
        with monkeypatch.context() as patch:
            check_after_kill(Store(store.uri), patch)
        if ended:
            break
        shutil.rmtree(store.uri)
    assert 50 < point < 999, "the kills reached every operation, the last run none"


def test_killed_by_sigkill_the_store_is_whole(tmp_path, monkeypatch):
    template = Path(store_of_three(tmp_path / "template").uri)
    for point in range(0, 1000, 25):
        store = Store(shutil.copytree(template, tmp_path / str(point)))
        command = [sys.executable, "-c", KILLED, store.uri, str(point)]
        ended = subprocess.run(command, cwd=ROOT, check=False)
        with monkeypatch.context() as patch:
            check_after_kill(Store(store.uri), patch)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
    assert 50 < point < 999


# Many processes

N_EACH = 50


def _work(path: Path, queue: multiprocessing.Queue) -> None:
    store, numbers = Store(path), []
    for _ in range(N_EACH):
        number = publish(store)
        numbers.append(number)
        while True:  # as a flow that is run again
            try:
                promote(store, number)
            except StoreError:
                continue
            break
    queue.put(numbers)


@pytest.mark.slow
def test_eight_processes_that_publish_and_promote_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_work, args=(tmp_path, queue)) for _ in range(8)]
    for process in processes:
        process.start()
    numbers = sorted(number for _ in processes for number in queue.get(timeout=500))
    for process in processes:
        process.join()
    store = Store(tmp_path)
    assert len(set(numbers)) == 8 * N_EACH, "no number is given twice"
    assert store.versions() == numbers
    history = store.history()
    assert len(history) == 16 * N_EACH, "each decision and promotion is there once"
    published = [event["version"] for event in history if event["event"] == "decision"]
    assert published == numbers, "versions are published in the order of their numbers"
    promoted = [event for event in history if event["event"] != "decision"]
    assert sorted(event["version"] for event in promoted) == numbers
    replaced = [event["state"]["previous_champion"] for event in promoted]
    assert replaced == [None, *(event["version"] for event in promoted[:-1])], "each replaced the one before it"
    assert store.champion() == promoted[-1]["version"]
