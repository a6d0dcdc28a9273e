"""The store keeps its word: numbered, whole or absent, whatever happens to the process that writes."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from samples import ROOT, VERSION_FILES, crown, publish

from artifacts.store.store import Store
from schemas.errors import InputError, StoreError


@pytest.fixture
def store(tmp_path) -> Store:
    """Give a store of three versions, the second of them the champion, after the first."""
    store = Store(tmp_path / "store")
    for _ in range(3):
        publish(store)
    crown(store, 1)
    crown(store, 2)
    return store


def test_versions_count_from_one(tmp_path):
    store = Store(tmp_path / "store")
    assert store.versions() == []
    assert [publish(store), publish(store)] == [1, 2]
    assert store.versions() == [1, 2]
    assert {file.name for file in store.local_dir(2).iterdir()} == VERSION_FILES


def test_a_number_is_not_given_again_when_its_version_was_removed(tmp_path):
    store = Store(tmp_path)
    publish(store)
    publish(store)
    shutil.rmtree(store.local_dir(2))
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
sys.path.insert(0, "tests")
from pathlib import Path
import filelock
from artifacts.store.store import Store
from samples import fill_version

countdown = int(sys.argv[2])
def counting(function):
    def call(*args, **kwargs):
        global countdown
        countdown -= 1
        if countdown < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call
store = Store(Path(sys.argv[1]))
for name in "open fsync mkdir rename replace chmod unlink rmdir write truncate ftruncate".split():
    setattr(os, name, counting(getattr(os, name)))
with store.new_version() as (number, folder):
    fill_version(number, folder)
store.promote(number, over=store.champion(), run="killed", reason="better")
with store.new_version() as (number, folder):
    fill_version(number, folder, promoted=True, champion=store.champion())
store.prune(2)
"""


def test_killed_at_any_file_operation_the_store_is_whole_and_goes_on(tmp_path):
    for point in range(300):
        store = Store(tmp_path / str(point))
        for _ in range(3):
            publish(store)
        crown(store, 1)
        crown(store, 2)
        ended = subprocess.run([sys.executable, "-c", KILLED, store.path, str(point)], cwd=ROOT, check=False)
        for version in store.versions():
            assert {file.name for file in store.local_dir(version).iterdir()} == VERSION_FILES
            assert store.faults(version) == []
        champion = store.champion()
        assert champion in (2, 4, 5)
        assert champion in store.versions()
        told = [event["version"] for event in store.history() if event["event"] == "promotion"]
        assert told == [1, 2, 4, 5][: len(told)]
        assert told[-1] == champion
        before = store.versions()
        number = publish(store)
        if 5 in before:
            assert store.champion() == 5, "what its card says was decided is done by whoever comes next"
            told = [1, 2, 4, 5]
        assert set(store.unreported()) == set(store.versions()), "no report is forgotten"
        assert number not in before
        crown(store, number)
        store.prune(2)
        assert [event["version"] for event in store.history() if event["event"] == "promotion"] == [*told, number]
        left = {entry.name for entry in [*store.path.iterdir(), *(store.path / "versions").iterdir()]}
        owed = {f".unreported-{version}" for version in [*before, number]}
        assert {name for name in left if name.startswith(".")} <= {".lock", ".last"} | owed
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
    assert 30 < point < 299, "the kills reached every operation, the last run none"


def _work_many(path: Path, queue: multiprocessing.Queue) -> None:
    store = Store(path)
    numbers, promotions = [], 0
    for _ in range(50):
        number = publish(store)
        numbers.append(number)
        while True:  # as a flow that is run again
            try:
                crown(store, number)
            except StoreError:
                continue
            promotions += 1
            break
    queue.put((numbers, promotions))


def test_processes_that_publish_and_promote_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_work_many, args=(tmp_path, queue)) for _ in range(8)]
    for process in processes:
        process.start()
    done = [queue.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(number for numbers, _ in done for number in numbers) == list(range(1, 401))
    store = Store(tmp_path)
    assert store.versions() == list(range(1, 401))
    events = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert sorted(event["version"] for event in events) == list(range(1, 401))
    overs = [event["over"] for event in events]
    assert overs == [None, *(event["version"] for event in events[:-1])], "each came after the one before it"
    assert store.champion() == events[-1]["version"]


def test_the_champion_is_the_version_promoted_last(store):
    assert (store.champion(), store.previous_champion()) == (2, 1)
    store.promote(1, over=2, run="by hand", reason="worse in the field", event="rollback")
    assert (store.champion(), store.previous_champion()) == (1, 2)
    assert [(event["event"], event["version"], event["over"]) for event in store.history()] == [
        ("promotion", 1, None), ("promotion", 2, 1), ("rollback", 1, 2),
    ]  # fmt: skip
    assert store.history()[-1]["reason"] == "worse in the field"


def test_a_decision_about_a_champion_of_yesterday_is_refused(store):
    with pytest.raises(StoreError, match="version 2 has become the champion meanwhile, in place of 1"):
        store.promote(3, over=1, run="test", reason="better than 1")
    assert store.champion() == 2


def test_what_a_card_says_was_decided_comes_into_force_with_its_version(store):
    assert publish(store, promoted=True, champion=2) == store.champion() == 4
    assert publish(store, promoted=False, champion=4) == 5
    assert store.champion() == 4
    assert [(event["event"], event["version"]) for event in store.history()[-2:]] == [("promotion", 4), ("decision", 5)]
    assert store.history()[-1]["reason"] == "said so"


def test_a_decision_on_a_card_that_was_touched_is_not_carried_out(store, monkeypatch):
    monkeypatch.setattr(Store, "_carry_out", lambda *_: None)  # as if killed before
    publish(store, promoted=True, champion=2)
    publish(store, promoted=True, champion=2)
    monkeypatch.undo()
    damaged_file(store.local_dir(4))
    publish(store)
    assert store.champion() == 5, "what was decided before the kill is done, but not for a model that was changed"


def test_who_settles_the_store_finishes_what_a_killed_process_began(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.settle()
    assert not list(tmp_path.iterdir()), "there is nothing to settle"
    store.work.child("f").write("epoch", b"")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_carry_out", lambda *_: None)  # as if killed before
        publish(store, promoted=True, champion=None)
    assert (store.champion(), store.first_event(1)) == (None, {})
    store.settle()
    assert store.champion() == 1
    assert store.first_event(1)["event"] == "promotion"
    assert not (store.path / "work").exists()


def test_reports_are_owed_until_they_are_made(store):
    assert store.unreported() == [1, 2, 3]
    store.mark_reported(2)
    assert store.unreported() == [1, 3]
    shutil.rmtree(store.local_dir(3))
    assert store.unreported() == [1], "of what is gone there is nothing to report"
    assert publish(store) == 4
    store.mark_reported(1)
    assert store.unreported() == [4]
    assert not list((store.path / "versions").glob(".unreported-3")), "nor is it remembered"


def test_a_champion_never_named_is_none(tmp_path):
    store = Store(tmp_path / "store")
    assert (store.champion(), store.previous_champion(), store.history(), store.refusals()) == (None, None, [], 0)
    assert not store.path.exists(), "looking makes nothing"


def damaged_file(folder):
    (folder / "model.keras").write_bytes(b"wEights")


def swapped(folder):
    shutil.copy(folder / "metrics.json", folder / "model.keras")


def another_card(folder):
    shutil.copy(folder.parent / "1" / "card.json", folder / "card.json")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (damaged_file, "model.keras was changed"),
        (swapped, "model.keras was changed"),
        (lambda folder: (folder / "metrics.json").unlink(), "metrics.json is missing"),
        (lambda folder: (folder / "notes.txt").write_text(""), "notes.txt doesn't belong to it"),
        (lambda folder: (folder / "more").mkdir(), "more doesn't belong to it"),
        (lambda folder: (folder / "card.json").write_text("{"), r"card\.json can't be read"),
        (lambda folder: (folder / "card.json").write_text("[]"), r"card\.json isn't whole"),
        (lambda folder: (folder / "card.json").unlink(), "there is no version 3 with a card"),
        (another_card, "the card is that of version 1"),
    ],
)
def test_a_version_that_was_touched_is_named_and_not_promoted(store, harm, told):
    harm(store.local_dir(3))
    with pytest.raises(StoreError, match=told):
        crown(store, 3)
    assert store.champion() == 2
    assert store.find_by_fingerprint("f") == 2, "nor is it taken for what need not be trained again"


def test_a_line_that_a_killed_process_left_unfinished_goes(store):
    with (store.path / "history.jsonl").open("ab") as history:
        history.write(b'{"event": "deci')
    assert len(store.history()) == 2
    publish(store, promoted=False, champion=2)
    lines = (store.path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["promotion", "promotion", "decision"]


def test_a_full_disk_leaves_the_old_champion_in_force(store, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        crown(store, 3)
    monkeypatch.undo()
    assert store.champion() == 2
    crown(store, 3)
    assert store.champion() == 3


@pytest.mark.parametrize("content", ["two", "", "{}", '{"version": "x"}'])
def test_a_champion_file_that_cannot_be_read_is_told_by_the_history(store, content):
    (store.path / "champion").write_text(content)
    assert (store.champion(), store.previous_champion()) == (2, 1)
    crown(store, 3)
    assert (store.champion(), store.previous_champion()) == (3, 2)


def test_a_history_that_cannot_be_read_is_said_so(store):
    with (store.path / "history.jsonl").open("ab") as history:
        history.write(b"scribble\n")
    with pytest.raises(StoreError, match=r"history\.jsonl: a line isn't JSON"):
        store.history()


@pytest.mark.parametrize("later", [False, True])
def test_a_line_that_the_history_has_lost_undoes_nothing(tmp_path, later):
    """It is a person who removes one that isn't JSON any more; what its card says was decided is long over."""
    store = Store(tmp_path)
    publish(store, promoted=True, champion=None)
    publish(store, promoted=True, champion=1)
    store.promote(1, over=2, run="test", reason="worse in the field", event="rollback")
    if later:
        publish(store, promoted=False, champion=1)
    lines = (tmp_path / "history.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "history.jsonl").write_text("".join([lines[0], *lines[2:]]))
    store.settle()
    assert store.champion() == 1


def test_quarantined_rows_half_written_go_a_day_later(store):
    folder = store.path / "quarantine"
    for name, hours in ((".new-killed__", 25), (".new-under_wy", 1), ("whole", 25)):
        (folder / name).mkdir(parents=True)
        then = time.time() - hours * 3600
        os.utime(folder / name, (then, then))
    publish(store)
    assert {path.name for path in folder.iterdir()} == {".new-under_wy", "whole"}


def test_the_champion_is_not_promoted_over_itself(store):
    with pytest.raises(StoreError, match="version 2 is the champion already"):
        crown(store, 2)
    assert store.previous_champion() == 1


def test_refusals_are_counted_since_the_champion_came(store):
    for champion in (2, 2, 1):
        publish(store, promoted=False, champion=champion)
    assert store.refusals() == 2, "one of them never met this champion"
    crown(store, 3)
    assert store.refusals() == 0


def test_pruning_spares_the_champion_the_one_before_and_the_newest(store):
    for _ in range(4):
        publish(store)
    assert store.prune(2) == [3, 4, 5]
    assert store.versions() == [1, 2, 6, 7]
    assert store.prune(2) == []
    assert publish(store) == 8, "numbers go on"


def test_an_unchanged_training_is_found_by_its_fingerprint(store):
    assert publish(store, "other") == 4
    assert store.find_by_fingerprint("f") == 3
    assert store.find_by_fingerprint("other") == 4
    assert store.find_by_fingerprint("none") is None


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
        store.work.child(fingerprint).write("epoch", b"")
    publish(store, "mine", promoted=True, champion=None)
    assert store.work.names() == ["theirs"]
    publish(store, "..", promoted=False, champion=1)
    publish(store, "theirs", promoted=False, champion=1)
    assert not (store.path / "work").exists()
    assert store.versions() == [1, 2, 3], "no card makes it remove another folder"
