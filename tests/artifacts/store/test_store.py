"""The store of versions in a folder: numbers, decisions, races, kills and tampering."""

import errno
import io
import json
import multiprocessing
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from samples import ROOT, VERSION_FILES, fill_version, promote, publish

from artifacts import files
from artifacts.store import store as store_module
from artifacts.store.records import State
from artifacts.store.store import Store
from schemas.errors import InputError, StorageError, StoreError


@pytest.fixture
def store(tmp_path) -> Store:
    """Return a store of three versions, the second of them the champion, after the first."""
    store = Store(tmp_path / "store")
    for _ in range(3):
        publish(store)
    promote(store, 1)
    promote(store, 2)
    return store


@pytest.fixture
def folder(store) -> Path:
    return Path(store.uri)


def visible_files(store: Store, version: int) -> set[str]:
    return {file.name for file in store.local_dir(version).iterdir() if not file.name.startswith(".")}


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
    assert (store.champion(), store.state().previous_champion, store.history(), store.state().refusals) == (
        None,
        None,
        [],
        0,
    )
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


@pytest.mark.parametrize("rival", [lambda store: publish(store, promoted=True), lambda store: promote(store, 3)])
def test_race_that_is_lost_at_the_last_moment_leaves_no_version(store, monkeypatch, rival):
    """The rival decides after the loser has looked, and has written its files."""
    append = store_module.History.append

    def late(self, *args):
        monkeypatch.undo()
        rival(Store(store.uri))
        return append(self, *args)

    state = store.state()
    with store.new_version() as (number, files):
        card = fill_version(number, files, after_event=state.event, promoted=True)
        monkeypatch.setattr(store_module.History, "append", late)
        assert not store.publish(number, files, card, 20)
    assert number not in store.versions()
    assert store.champion() != number
    assert store.state().event == state.event + 1


def test_promotion_by_hand_succeeds_despite_a_concurrent_refusal(store, monkeypatch):
    append = store_module.History.append

    def late(self, *args):
        monkeypatch.undo()
        publish(Store(store.uri))
        return append(self, *args)

    monkeypatch.setattr(store_module.History, "append", late)
    promote(store, 3)
    assert (store.champion(), store.state().refusals, store.versions()) == (3, 4, [1, 2, 3, 4])


# Kills


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
import test_store
from artifacts.store.store import Store

class Sigkill(BaseException):
    def __init__(self):
        os.kill(os.getpid(), signal.SIGKILL)

store = Store(sys.argv[1])
with pytest.MonkeyPatch.context() as patch:
    test_store.count_operations(patch, int(sys.argv[2]), Sigkill)
    test_store.use(store)
"""


def use(store: Store) -> None:
    """Publish, promote, publish a champion and remove old versions."""
    promote(store, publish(store))
    publish(store, promoted=True, keep=2)


def prepared(path: Path) -> Store:
    store = Store(path)
    for _ in range(3):
        publish(store)
    promote(store, 1)
    promote(store, 2)
    return store


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
    template = Path(prepared(tmp_path / "template").uri)
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
    template = Path(prepared(tmp_path / "template").uri)
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


# Many processes

N_EACH = 12


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


# Removing versions


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


# Tampering


def change(folder, name):
    (folder / name).write_bytes(b"changed")


def swap(folder):
    shutil.copy(folder / "metrics.json", folder / "model.keras")


def copy_card(folder):
    shutil.copy(folder.parent / "1" / "card.json", folder / "card.json")


def edit_card(folder):
    card = json.loads((folder / "card.json").read_text())
    card["figures"]["accuracy"] = 0.9999
    (folder / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        *(
            (lambda folder, name=name: change(folder, name), f"{name} was changed")
            for name in ("model.keras", "metrics.json")
        ),
        (swap, "model.keras was changed"),
        (lambda folder: (folder / "metrics.json").unlink(), "metrics.json is missing"),
        (lambda folder: (folder / "notes.txt").write_text(""), "notes.txt isn't listed on its card"),
        (lambda folder: (folder / "more").mkdir(), "more isn't listed on its card"),
        (lambda folder: (folder / "card.json").write_text("{"), r"card\.json can't be read"),
        (lambda folder: (folder / "card.json").write_text("[]"), r"card\.json can't be read"),
        (lambda folder: (folder / "card.json").unlink(), "there is no version 3; versions: 1, 2"),
        (copy_card, "the card is that of version 1"),
        (edit_card, r"card\.json differs from the history"),
    ],
)
def test_tampered_version_is_named_and_not_promoted(store, tamper, message):
    tamper(store.local_dir(3))
    with pytest.raises(StoreError, match=message):
        promote(store, 3)
    assert store.champion() == 2
    assert store.find_by_fingerprint("f") == 2


def test_verified_version_is_hashed_once(store, monkeypatch):
    hashed = []
    checksums = store_module.checksums
    monkeypatch.setattr(store_module, "checksums", lambda path: (hashed.append(path.name), checksums(path))[1])
    assert store.verified_dir(3) == store.verified_dir(3) == store.local_dir(3)
    assert hashed == ["3"]
    change(store.local_dir(3), "model.keras")
    with pytest.raises(StoreError, match=r"model\.keras was changed"):
        Store(store.uri).verified_dir(3)


@pytest.mark.parametrize("n_hashed", [0, 1])
def test_version_removed_while_it_is_verified_is_reported_as_removed(store, monkeypatch, n_hashed):
    sha256, hashed = files._sha256, []

    def late(path):
        hashed.append(path)
        if len(hashed) == n_hashed + 1:
            publish(Store(store.uri), keep=1)
        return sha256(path)

    monkeypatch.setattr(files, "_sha256", late)
    message = "version 3: was removed meanwhile, as it is older than the versions to --keep; choose another one"
    assert store.faults(3) == [message]


def test_unchanged_training_is_found_by_its_fingerprint(store):
    assert publish(store, "other") == 4
    assert store.find_by_fingerprint("f") == 3
    assert store.find_by_fingerprint("other") == 4
    assert store.find_by_fingerprint("none") is None


# The history


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


# Disks that fail


WRITES = ("mkdir", "rename", "replace", "link", "chmod", "unlink", "rmdir", "fsync")


def fail_writes(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Make each operation that changes a disk fail: root ignores permissions, so no folder is read-only to it."""

    def fail(*_args, **_options):
        raise OSError(number, os.strerror(number))

    for name in WRITES:
        monkeypatch.setattr(os, name, fail)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space, then run the same command again"),
        (errno.EDQUOT, "free some space, then run the same command again"),
        (errno.EROFS, "give this user access, or use another place"),
        (errno.EACCES, "give this user access, or use another place"),
        (errno.EPERM, "use a folder of this user, on a disk with hard links"),
        (errno.EFBIG, r"raise the limit on the size of files \(ulimit -f\)"),
        (errno.EMFILE, r"raise the limit on the number of open files \(ulimit -n\)"),
    ],
)
def test_disk_that_takes_nothing_is_one_line_with_what_to_do(store, monkeypatch, number, remedy):
    reason = f"{os.strerror(number)}\\)?\\); {remedy}$"
    with monkeypatch.context() as patch:
        fail_writes(patch, number)
        for use in (lambda: promote(store, 3), lambda: publish(store)):
            with pytest.raises(StorageError, match=rf"^{store.uri}/\S+: can't be used \({reason}"):
                use()
        with pytest.raises(InputError, match=rf"^{store.uri}/versions: can't be written \(.*: {reason}"):
            store.check_writable()
    assert store.champion() == 2
    promote(store, 3)


def test_version_in_a_read_only_store_is_verified(store, monkeypatch):
    fail_writes(monkeypatch, errno.EROFS)
    fresh = Store(store.uri)
    assert (fresh.champion(), fresh.versions(), fresh.faults(2), fresh.ignored()) == (2, [1, 2, 3], [], [])
    assert fresh.verified_dir(3).name == "3"


def test_version_that_cant_be_filled_is_one_line(store):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # a disk of 10 kB, for root, too
    try:
        with pytest.raises(StorageError, match=r"versions/4: can't be used \(File too large\); raise the limit"):
            write_large_version(store)
        with pytest.raises(InputError, match=r"can't be written \(.*: File too large\)"):
            store.check_writable()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert publish(store) == 5


def write_large_version(store: Store) -> None:
    with store.new_version() as (_, folder):
        (folder / "model.keras").write_bytes(bytes(100_000))


@pytest.mark.parametrize("name", ["model.keras", "metrics.json", "card.json"])
def test_file_of_a_version_that_cant_be_read_is_named(store, monkeypatch, name):
    opened = io.open

    def deny(path, *args, **options):
        if str(path).endswith(f"versions/3/{name}"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *args, **options)

    monkeypatch.setattr(io, "open", deny)
    message = rf"^version 3: \S*{name}.* can't be (read|used) \(Permission denied\); give this user access"
    with pytest.raises(StoreError, match=message):
        promote(store, 3)
    assert store.find_by_fingerprint("f") == 2


# Paths that can't be used


def test_check_of_a_new_folder_creates_nothing(tmp_path):
    Store(tmp_path / "a" / "b").check_writable()
    assert list(tmp_path.iterdir()) == []


def test_file_in_place_of_the_store_is_refused(tmp_path):
    (tmp_path / "store").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        Store(tmp_path / "store").check_writable()


def test_folder_without_permission_is_refused(monkeypatch, tmp_path):
    def forbidden(_path, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", forbidden)
    with pytest.raises(InputError, match=r"Permission denied\); give this user access"):
        Store(tmp_path / "store").check_writable()


def test_disk_without_hard_links_is_refused(monkeypatch, tmp_path):
    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", unsupported)
    with pytest.raises(
        InputError, match=r"Operation not supported\); use a folder of this user, on a disk with hard links"
    ):
        Store(tmp_path / "store").check_writable()


def test_folder_that_takes_no_files_is_refused():
    with pytest.raises(InputError, match="can't be written"):
        Store(Path("/proc/store")).check_writable()
