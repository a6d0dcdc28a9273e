"""The store of versions in a folder: numbers, decisions, races, what is removed, and the history."""

import json
import os
import shutil
import stat
import time
from pathlib import Path

import pytest
from samples import VERSION_FILES, fill_version, promote, publish, visible_files

from artifacts.store import store as store_module
from artifacts.store.records import State
from artifacts.store.store import Store
from schemas.errors import StoreError


@pytest.fixture
def folder(store) -> Path:
    return Path(store.uri)


def test_versions_count_from_one(tmp_path):
    store = Store(tmp_path / "store")
    assert store.versions() == []
    assert [publish(store), publish(store)] == [1, 2]
    assert store.versions() == [1, 2]
    assert visible_files(store, 2) == VERSION_FILES


def test_number_of_a_removed_version_is_not_given_again(tmp_path):
    store = Store(tmp_path)
    publish(store)
    publish(store)
    shutil.rmtree(store.local_dir(2))
    assert publish(store) == 3
    assert store.versions() == [1, 3]


def test_number_of_a_failed_publication_is_not_given_again(tmp_path):
    store = Store(tmp_path)

    def fail_half_way() -> None:
        with store.new_version() as (_, folder):
            (folder / "model.keras").write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail_half_way()
    assert store.versions() == []
    assert not list((tmp_path / "versions").iterdir())
    assert publish(store) == 2


def test_empty_store_has_no_champion_and_reading_creates_nothing(tmp_path):
    store = Store(tmp_path / "store")
    assert (store.champion(), store.state().previous_champion, store.state().refusals) == (None, None, 0)
    assert store.history() == []
    store.recover()
    assert not (tmp_path / "store").exists()


# Decisions


def test_champion_is_the_version_promoted_last(store):
    assert (store.champion(), store.state().previous_champion) == (2, 1)
    store.promote(1, replaced=2, run="by hand", reason="worse in the field")
    assert (store.champion(), store.state().previous_champion) == (1, 2)
    promotions = [event for event in store.history() if event["event"] != "decision"]
    assert [(event["event"], event["version"], event["state"]["previous_champion"]) for event in promotions] == [
        ("promotion", 1, None), ("promotion", 2, 1), ("rollback", 1, 2),
    ]  # fmt: skip
    assert promotions[-1]["reason"] == "worse in the field"


def test_promotion_over_a_previous_champion_is_refused(store):
    with pytest.raises(StoreError, match="version 2 has become the champion meanwhile, in place of 1"):
        store.promote(3, replaced=1, run="test", reason="better than 1")
    assert store.champion() == 2


def test_champion_is_not_promoted_over_itself(store):
    with pytest.raises(StoreError, match="version 2 is the champion already"):
        promote(store, 2)
    assert store.state().previous_champion == 1


def test_decision_on_the_card_takes_effect_with_its_version(store):
    assert publish(store, promoted=True) == store.champion() == 4
    assert publish(store) == 5
    assert store.champion() == 4
    newest = store.history(2)
    assert [(event["event"], event["version"]) for event in newest] == [("promotion", 4), ("decision", 5)]
    assert newest[-1]["reason"] == "said so"
    assert newest[-1]["card"] == store.card(5)


def test_refusals_are_counted_until_a_candidate_is_proven_better(store):
    publish(store, counts=False)
    assert store.state().refusals == 3, "those of the fixture"
    publish(store, promoted=True, is_proven=False)
    assert store.state().refusals == 3
    publish(store, promoted=True)
    assert store.state().refusals == 0


def test_a_rollback_gives_no_budget_back(store):
    promote(store, 1)
    assert store.state().refusals == 3


def test_the_best_champion_stays_until_another_is_proven_better(store):
    assert store.state().best_champion == 2
    publish(store, promoted=True, is_proven=False)
    assert (store.champion(), store.state().best_champion) == (4, 2)
    publish(store, promoted=True, is_proven=False, forced=True)
    assert store.state().best_champion == 5
    promote(store, 1)
    assert store.state().best_champion == 1


def test_the_best_champion_is_kept_when_old_versions_are_removed(tmp_path):
    store = Store(tmp_path)
    publish(store, promoted=True)
    for _ in range(3):
        publish(store, promoted=True, is_proven=False, keep=1)
    assert store.versions() == [1, 3, 4]


def test_a_state_without_a_best_champion_is_read(store):
    event = json.loads((Path(store.uri) / "history" / "000005.json").read_text())
    event["state"].pop("best_champion")
    (Path(store.uri) / "history" / "000005.json").write_text(json.dumps(event))
    assert store.state().best_champion is None
    publish(store, promoted=True, is_proven=False)
    assert store.state().best_champion == 2


def test_loser_of_a_race_publishes_nothing_and_compares_again(store, folder):
    state = store.state()
    with store.new_version() as (number, files):
        card = fill_version(number, files, after_event=state.event, promoted=True)
        assert publish(Store(store.uri), promoted=True) == 5
        assert not store.publish(number, files, card, 20)
    assert (store.champion(), store.versions()) == (5, [1, 2, 3, 5])
    assert not (folder / "versions" / "4").exists()
    assert store.state().event == state.event + 1, "the lost decision isn't in the history"


@pytest.fixture
def before_event(monkeypatch):
    """Return a function that lets a rival use a store right before its next event is appended."""

    def prepare(rival):
        append = store_module.History.append

        def late(self, *args):
            monkeypatch.undo()
            rival()
            return append(self, *args)

        monkeypatch.setattr(store_module.History, "append", late)

    return prepare


@pytest.mark.parametrize("rival", [lambda store: publish(store, promoted=True), lambda store: promote(store, 3)])
def test_race_that_is_lost_at_the_last_moment_leaves_no_version(store, before_event, rival):
    """The rival decides after the loser has looked, and has written its files."""
    state = store.state()
    with store.new_version() as (number, files):
        card = fill_version(number, files, after_event=state.event, promoted=True)
        before_event(lambda: rival(Store(store.uri)))
        assert not store.publish(number, files, card, 20)
    assert number not in store.versions()
    assert store.champion() != number
    assert store.state().event == state.event + 1


def test_promotion_by_hand_succeeds_despite_a_concurrent_refusal(store, before_event):
    before_event(lambda: publish(Store(store.uri)))
    promote(store, 3)
    assert (store.champion(), store.state().refusals, store.versions()) == (3, 4, [1, 2, 3, 4])


# Removing versions


def test_card_of_a_version_whose_run_was_killed_is_written_by_the_next(store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_write_newest_card", lambda _: None)
        publish(store, promoted=True)
    assert "card.json" not in {file.name for file in store.local_dir(4).iterdir()}
    assert store.champion() == 4
    assert Store(store.uri).card(4)["version"] == 4
    assert Store(store.uri).versions() == [1, 2, 3, 4]


def test_checkpoints_of_a_published_training_are_removed_by_the_next_run(tmp_path, monkeypatch):
    store = Store(tmp_path)
    fingerprint = "0f" * 32
    store.work.child(fingerprint).write("epoch", b"")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_remove_work", lambda *_: None)
        publish(store, fingerprint)
    assert store.work.names() == [fingerprint]
    store.recover()
    assert store.work.names() == []


@pytest.mark.parametrize("fingerprint", ["shards", "..", "a/b", "", "F" * 64, "f" * 63, f"{'f' * 64}\n"])
def test_card_that_names_no_fingerprint_removes_no_work(tmp_path, fingerprint):
    store = Store(tmp_path)
    store.work.child("shards").write("pixels", b"")
    publish(store, fingerprint)
    store.recover()
    assert store.work.child("shards").names() == ["pixels"]


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o755), (0o002, 0o775), (0o077, 0o700)])
def test_permissions_of_a_version_follow_the_umask(tmp_path, umask, expected):
    before = os.umask(umask)
    try:
        folder = Store(tmp_path).local_dir(publish(Store(tmp_path)))
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == expected
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {expected & 0o666}


def test_oldest_versions_go_but_not_the_champion_and_the_previous_one(store):
    for _ in range(4):
        publish(store)
    assert publish(store, keep=2) == 8
    assert store.versions() == [1, 2, 7, 8]
    assert publish(store, keep=20) == 9, "numbers go on"
    assert store.versions() == [1, 2, 7, 8, 9]


def test_version_that_is_being_removed_is_not_promoted(store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_remove_unused_versions", lambda _: None)  # killed before it removes anything
        publish(store, keep=1)
    assert store.versions() == [1, 2, 3, 4]
    with pytest.raises(StoreError, match="version 3 is being removed"):
        promote(store, 3)
    store.recover()
    assert store.versions() == [1, 2, 4]


def test_folder_of_a_run_that_may_still_publish_stays(store, folder):
    for number in (2, 4, 5):
        (folder / "versions" / str(number)).mkdir(exist_ok=True)
    (folder / "versions" / "2" / "card.json").unlink()
    store.recover()
    assert {path.name for path in folder.glob("versions/*")} == {"1", "3", "4", "5"}
    for taken in (4, 5):
        (folder / "claims" / str(taken)).touch()
    publish(store)
    assert {path.name for path in folder.glob("versions/*")} == {"1", "3", "6"}, "numbers below 6 are no longer usable"


def test_publishing_removes_only_its_own_trainings_work(tmp_path):
    store, mine, theirs = Store(tmp_path), "0f" * 32, "1e" * 32
    for fingerprint in (mine, theirs):
        store.work.child(fingerprint).write("epoch", b"")
    publish(store, mine, promoted=True)
    assert store.work.names() == [theirs]
    publish(store, theirs)
    assert store.work.names() == []


def test_interrupted_quarantine_is_removed_after_a_day(store, folder):
    quarantine = folder / "quarantine"
    for name, hours in ((".new-killed__", 25), (".new-under_wy", 1), ("whole", 25)):
        (quarantine / name).mkdir(parents=True)
        then = time.time() - hours * 3600
        os.utime(quarantine / name, (then, then))
    store.recover()
    assert {path.name for path in quarantine.iterdir()} == {".new-under_wy", "whole"}


# Reports


def test_versions_are_unreported_until_they_are_marked(store):
    assert store.unreported() == [1, 2, 3]
    store.mark_reported(2)
    assert store.unreported() == [1, 3]
    assert store.faults(2) == []
    shutil.rmtree(store.local_dir(3))
    assert store.unreported() == [1], "of a removed version there is nothing to report"
    assert publish(store) == 4
    store.mark_reported(1)
    assert store.unreported() == [4]


# The history


def test_unchanged_training_is_found_by_its_fingerprint(store):
    assert publish(store, "other") == 4
    assert store.find_by_fingerprint("f") == 3
    assert store.find_by_fingerprint("other") == 4
    assert store.find_by_fingerprint("none") is None


@pytest.mark.parametrize("hint", [None, b"", b"two", b"0", b"2", b"99"])
def test_newest_event_is_found_whatever_the_hint_says(store, folder, hint):
    path = folder / "history" / "newest"
    if hint is None:
        path.unlink()
    else:
        path.write_bytes(hint)
    assert Store(store.uri).state() == State(
        event=5, champion=2, previous_champion=1, refusals=3, last_version=3, oldest_kept=1, best_champion=2
    )
    assert publish(store) == 4
    assert path.read_bytes() == b"6"


def test_newest_of_ten_thousand_events_is_found_by_a_few_reads(tmp_path, monkeypatch):
    store = Store(tmp_path)
    publish(store, promoted=True)
    event = (tmp_path / "history" / "000001.json").read_text()
    for number in range(2, 10_001):
        (tmp_path / "history" / f"{number:06}.json").write_text(event.replace('"number": 1,', f'"number": {number},'))
    (tmp_path / "history" / "newest").write_text("9998")
    reads = []
    read = store_module.History.read
    monkeypatch.setattr(
        store_module.History, "read", lambda self, number: (reads.append(number), read(self, number))[1]
    )
    assert store.champion() == 1
    assert reads == [9998, 9999, 10_000, 10_001]
    assert len(store.history(limit=3)) == 3


def test_lost_event_changes_nothing_but_the_list(store, folder):
    (folder / "history" / "000004.json").unlink()
    assert [event["version"] for event in store.history()] == [1, 2, 3, 2]
    assert (store.champion(), store.state().previous_champion) == (2, 1)


def test_store_of_a_later_release_is_refused(store, folder):
    (folder / "store.json").write_text('{"layout": 3}')
    with pytest.raises(StoreError, match="its layout is 3, this release reads 2"):
        Store(folder).champion()
