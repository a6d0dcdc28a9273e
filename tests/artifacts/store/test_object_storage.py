"""A store at an address keeps its word as one in a folder does: on S3's interface, served on this machine."""

import contextlib
import json
import multiprocessing
import shutil
import threading
import time
from datetime import timedelta

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from samples import VERSION_FILES, crown, publish

from artifacts.store import lease, object_storage
from artifacts.store.object_storage import ObjectStorage
from artifacts.store.store import Store
from schemas.errors import InputError, StorageError, StoreError, UnavailableError


@pytest.fixture
def elsewhere(monkeypatch):
    """Forget what this process has fetched, as another one would never have had it."""

    def forget() -> None:
        shutil.rmtree(object_storage._passing())
        object_storage._passing.cache_clear()

    return forget


@pytest.fixture
def memory():
    """Give an address of fsspec's own store, that of this process."""
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield "memory://digits"
    MemoryFileSystem.store.clear()


def test_what_one_process_publishes_another_one_finds(bucket, elsewhere):
    store = Store(f"{bucket}/store")
    assert (store.versions(), store.champion(), store.history()) == ([], None, [])
    assert [publish(store), publish(store, "other", promoted=True, champion=None), publish(store)] == [1, 2, 3]
    crown(store, 1)
    elsewhere()
    other = Store(f"{bucket}/store/")
    assert other.versions() == [1, 2, 3]
    assert (other.champion(), other.previous_champion()) == (1, 2)
    assert [event["version"] for event in other.history()] == [2, 1]
    assert {file.name for file in other.local_dir(2).iterdir()} == VERSION_FILES
    assert other.find_by_fingerprint("other") == 2
    assert other.unreported() == [1, 2, 3]
    other.mark_reported(2)
    assert other.prune(1) == []
    assert publish(other) == 4
    assert other.prune(1) == [3]
    assert store.unreported() == [1, 4]
    assert store.versions() == [1, 2, 4]
    assert store.place(4) == f"{bucket}/store/versions/4"


def test_what_was_touched_there_is_named(bucket, elsewhere):
    store = Store(f"{bucket}/store")
    publish(store)
    publish(store)
    files = fsspec.filesystem("s3")
    files.pipe_file(f"{bucket}/store/versions/1/model.keras", b"wEights")
    files.rm_file(f"{bucket}/store/versions/2/metrics.json")
    elsewhere()
    assert store.faults(1)[0].startswith("version 1: model.keras was changed")
    assert store.faults(2) == ["version 2: metrics.json is missing"]
    files.pipe_file(f"{bucket}/store/versions/2/notes.txt", b"")
    elsewhere()
    assert "version 2: notes.txt doesn't belong to it" in store.faults(2)


def test_killed_at_any_request_the_store_is_whole_and_goes_on(memory, monkeypatch, elsewhere):
    monkeypatch.setattr(lease, "EXPIRES_SECONDS", 0.02)
    monkeypatch.setattr(lease, "POLL_SECONDS", 0.01)
    for point in range(300):
        store = Store(f"{memory}/{point}")
        for _ in range(3):
            publish(store)
        crown(store, 1)
        crown(store, 2)
        with monkeypatch.context() as patch:
            killed = _killed(lambda: _much(store), patch, point)  # noqa: B023, called at once
        elsewhere()
        for version in store.versions():
            assert {file.name for file in store.local_dir(version).iterdir()} == VERSION_FILES
            assert store.faults(version) == []
        champion = store.champion()
        assert champion in (2, 4, 5)
        assert champion in store.versions()
        before = store.versions()
        number = publish(store)
        assert number not in before
        assert champion == 5 or 5 not in before or store.champion() == 5, "what its card says was decided is done"
        assert set(store.unreported()) == set(store.versions()), "no report is forgotten"
        crown(store, number)
        promoted = [event["version"] for event in store.history() if event["event"] == "promotion"]
        assert promoted == sorted(set(promoted))
        assert (promoted[:2], promoted[-1]) == ([1, 2], number)
        names = fsspec.filesystem("memory").ls(f"/digits/{point}/versions", detail=False)
        assert not [name for name in names if "/.new-" in name], "nothing half done is left"
        if not killed:
            break
    assert 100 < point < 299, "the kills reached every request, the last run none"


class Killed(BaseException):
    """What no code catches, as nothing runs after SIGKILL."""


def _much(store: Store) -> None:
    crown(store, publish(store))
    publish(store, promoted=True, champion=store.champion())
    store.prune(2)


def _killed(function, patch, point) -> bool:
    """Call a function whose process is killed before its so-maniest request; tell whether it was."""
    count = 0

    def counted(original):
        def request(*arguments, **others):
            nonlocal count
            count += 1
            if count > point:
                raise Killed
            return original(*arguments, **others)

        return request

    for name in ("pipe_file", "put_file", "cat_file", "ls", "rm", "rm_file", "get_file"):
        patch.setattr(MemoryFileSystem, name, counted(getattr(MemoryFileSystem, name)))
    try:
        function()
    except Killed:
        return True
    return False


def _publish_many(address: str, queue: multiprocessing.Queue) -> None:
    store = Store(address)
    queue.put([publish(store, promoted=True, champion=store.champion()) for _ in range(4)])


def test_processes_that_publish_at_once_lose_nothing(bucket):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_publish_many, args=(f"{bucket}/store", queue)) for _ in range(4)]
    for process in processes:
        process.start()
    done = [queue.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(number for numbers in done for number in numbers) == list(range(1, 17))
    store = Store(f"{bucket}/store")
    assert store.versions() == list(range(1, 17))
    assert [fault for version in store.versions() for fault in store.faults(version)] == []
    assert [event["version"] for event in store.history()] == list(range(1, 17)), "each decision once, in order"
    over = None
    for event in store.history():
        if event["event"] == "promotion":
            assert event["over"] == over
            over = event["version"]
    assert store.champion() == over


def test_a_lease_is_waited_for_and_taken_from_who_stands_still(memory, monkeypatch):
    places, order = ObjectStorage(memory), []
    with lease.held(places):
        waiting = threading.Thread(target=lambda: _hold(places, order))
        waiting.start()
        time.sleep(0.3)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]
    monkeypatch.setattr(lease, "RENEWED_SECONDS", 0.05)
    monkeypatch.setattr(lease, "EXPIRES_SECONDS", 0.4)
    with lease.held(places):
        waiting = threading.Thread(target=lambda: _hold(places, order))
        waiting.start()
        time.sleep(1)
        order.append("renewed")
    waiting.join(10)
    assert order == ["first", "second", "renewed", "second"], "who lives keeps it, however long that takes"
    with pytest.raises(StoreError, match="another one has taken the lock"):
        _stand_still(places, order, monkeypatch)
    assert order[-2:] == ["second", "still"], "before its next sign of life, too, it finds out"
    _hold(places, order)
    assert len(places.names()) == 1, "what was held before is removed by who comes next"


def test_who_was_slow_to_take_the_lock_takes_it_from_nobody(memory, monkeypatch):
    places = ObjectStorage(memory)
    monkeypatch.setattr(lease, "EXPIRES_SECONDS", 0.1)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(pytest.raises(StoreError, match="another one has taken the lock"))
            stack.enter_context(lease.held(places))  # and stands still for the next one
        check = stack.enter_context(lease.held(places))
        lease._forget_older(places, 2)  # the second one, waking up only now
        check()


def test_the_lock_is_waited_for_while_the_store_does_not_answer(memory, monkeypatch):
    places, original, answers = ObjectStorage(memory), MemoryFileSystem.pipe_file, []

    def lost(self, path, value, **others):
        answers.append(path)
        original(self, path, value, **others)
        if len(answers) < 2:
            raise ConnectionError("the answer was lost")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", lost)
    with lease.held(places) as check:
        check()
    assert len(answers) == 2, "it was put once, and given back"


def test_what_was_decided_is_not_written_once_the_lock_is_lost(memory, monkeypatch):
    store = Store(memory)
    publish(store)
    monkeypatch.setattr(lease, "EXPIRES_SECONDS", 0.1)
    monkeypatch.setattr(store, "check_whole", lambda _: publish(Store(memory), promoted=True, champion=None))
    with pytest.raises(StoreError, match="another one has taken the lock"):
        store.promote(1, over=2, run="test", reason="better")  # stands still just before that
    assert (store.champion(), len(store.history())) == (2, 1)


def test_nor_does_who_loses_it_and_cannot_go_on(memory, monkeypatch):
    """Whoever has the lock now has taken away what was there, with the marker, before the next file came."""
    store, put, calls = Store(memory), MemoryFileSystem.put_file, []

    def slow(self, *arguments, **others):
        calls.append(1)
        if len(calls) == 2:
            publish(Store(memory), promoted=True, champion=None)
            put(self, *arguments, **others)
            raise ConnectionError("no route")
        put(self, *arguments, **others)

    monkeypatch.setattr(lease, "EXPIRES_SECONDS", 0.1)
    monkeypatch.setattr(MemoryFileSystem, "put_file", slow)
    with pytest.raises(StoreError, match="another one has taken the lock"):
        publish(store, promoted=True, champion=None)
    assert store.versions() == [2]
    assert not fsspec.filesystem("memory").exists("/digits/versions/1")


def test_nothing_is_removed_once_the_lock_is_lost(memory, monkeypatch):
    store, previous = Store(memory), Store.previous
    for _ in range(4):
        publish(store)
    crown(store, 3)
    crown(store, 4)

    def stands_still(self):
        found = previous(self)
        if self is store:
            crown(Store(memory), 1)
        return found

    monkeypatch.setattr(lease, "EXPIRES_SECONDS", 0.1)
    monkeypatch.setattr(Store, "previous", stands_still)
    with pytest.raises(StoreError, match="another one has taken the lock"):
        store.prune(1)
    assert (store.champion(), store.versions()) == (1, [1, 2, 3, 4])


def test_who_loses_the_lock_while_a_version_is_brought_there_leaves_nothing(memory, monkeypatch):
    store, put, meanwhile = Store(memory), MemoryFileSystem.put_file, []

    def slow(self, *arguments, **others):
        put(self, *arguments, **others)
        if not meanwhile:
            meanwhile.append(1)
            meanwhile.append(publish(Store(memory), promoted=True, champion=None))

    monkeypatch.setattr(lease, "EXPIRES_SECONDS", 0.1)
    monkeypatch.setattr(MemoryFileSystem, "put_file", slow)
    with pytest.raises(StoreError, match="another one has taken the lock"):
        publish(store, promoted=True, champion=None)
    assert (store.versions(), store.champion(), store.unreported()) == ([2], 2, [2])
    assert [event["version"] for event in store.history()] == [2]
    assert not fsspec.filesystem("memory").exists("/digits/versions/1")


def test_what_is_half_there_is_not_swept_once_the_lock_is_lost(memory, monkeypatch):
    """It may be another process', which has the lock now."""

    def lost():
        raise StoreError("another one has taken the lock")

    monkeypatch.setattr(ObjectStorage, "locked", lambda _: contextlib.nullcontext(lost))
    for path in ("versions/1/model.keras", "versions/.new-2", "versions/2/model.keras", "versions/.unreported-2"):
        MemoryFileSystem().pipe(f"/digits/{path}", b"")
    before = MemoryFileSystem().find("/digits")
    with pytest.raises(StoreError, match="another one has taken the lock"):
        Store(memory).settle()
    assert MemoryFileSystem().find("/digits") == before


def test_what_was_left_half_there_without_the_lock_goes_a_day_later(memory):
    store, hour = Store(memory), 3600
    for name, hours in (("killed", 25), ("under-way", 1)):
        for path in (f"/digits/quarantine/.new-{name}", f"/digits/quarantine/{name}/rows.csv"):
            MemoryFileSystem().pipe(path, b"")
            MemoryFileSystem.store[path].modified -= timedelta(seconds=hours * hour)
    publish(store)
    assert sorted(MemoryFileSystem().find("/digits/quarantine")) == [
        "/digits/quarantine/.new-under-way",
        "/digits/quarantine/under-way/rows.csv",
    ]


def _stand_still(places, order, monkeypatch) -> None:
    with lease.held(places):
        monkeypatch.setattr(lease, "_life", lambda *_: b"the same")  # as if it couldn't renew it
        _hold(places, order)
        order.append("still")
        time.sleep(0.2)


def _hold(places, order) -> None:
    with lease.held(places):
        order.append("second")


def test_of_two_who_put_the_same_object_one_succeeds(bucket):
    storage = ObjectStorage(f"{bucket}/claims")
    assert [storage.claim("1", b"mine"), storage.claim("1", b"theirs")] == [True, False]
    assert storage.read("1") == b"mine"


def test_a_folder_whose_files_are_removed_by_a_rule_of_the_store_is_none(bucket):
    storage = ObjectStorage(f"{bucket}/folders")
    with storage.new_folder("one") as folder:
        (folder / "a").write_bytes(b"12")
        (folder / "b").write_bytes(b"3")
    assert storage.names() == ["one"]
    assert storage.has_dir("one")
    fsspec.filesystem("s3").rm_file(f"{bucket}/folders/one/a")
    assert not storage.has_dir("one")
    storage.remove_folder("one")
    assert storage.names() == []
    with pytest.raises(FileNotFoundError):
        storage.local_dir("one")


def test_a_copy_of_what_is_not_whole_is_none(memory, elsewhere):
    storage = ObjectStorage(memory)
    with storage.new_folder("one") as folder:
        (folder / "a").write_bytes(b"12")
        (folder / "b").write_bytes(b"3")
    fsspec.filesystem("memory").pipe_file("/digits/one/a", b"1")
    elsewhere()
    with pytest.raises(FileNotFoundError):
        storage.local_dir("one")
    with storage.new_folder("one") as folder:
        (folder / "a").write_bytes(b"12")
        (folder / "b").write_bytes(b"3")
    elsewhere()
    copy = storage.local_dir("one")
    (copy / "a").write_bytes(b"")
    storage.discard("one")
    assert (storage.local_dir("one") / "a").read_bytes() == b"12", "what is there isn't touched"


def test_versions_that_were_brought_there_by_other_means_count(memory, tmp_path):
    local = Store(tmp_path / "store")
    publish(local, promoted=True, champion=None)
    fsspec.filesystem("memory").put(str(local.path), "/digits", recursive=True)
    store = Store(memory)
    assert (store.versions(), store.champion(), store.faults(1)) == ([1], 1, [])
    assert {file.name for file in store.local_dir(1).iterdir()} == VERSION_FILES
    assert publish(store) == 2
    assert store.prune(1) == []


def test_a_store_that_refuses_nobody_is_not_used(memory, monkeypatch):
    original = MemoryFileSystem.pipe_file
    monkeypatch.setattr(
        MemoryFileSystem, "pipe_file", lambda self, path, value, mode="overwrite": original(self, path, value)
    )
    with pytest.raises(StorageError, match=r"two processes may put the same object"):
        Store(memory).check_writable()


def test_a_store_that_ends_with_its_process_is_not_used(memory):
    with pytest.raises(StorageError, match=r"^memory://digits/versions: ends with its process"):
        Store(memory).check_writable()
    assert MemoryFileSystem.store == {}


@pytest.mark.parametrize("place", ["s3:/bucket/store", "s3://", "memory://"])
def test_an_address_that_lacks_something_is_told(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="not a whole address, such as s3://bucket/digits; a store is"):
        Store(place)
    assert not list(tmp_path.iterdir())


def test_copies_that_cannot_be_kept_are_told(memory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    with pytest.raises(StorageError, match=r"^/proc/nowhere/.*: can't be made for copies of memory://digits"):
        ObjectStorage(memory).keeping_copies().local_dir("one")


def test_large_copies_stay_for_the_next_process(memory, monkeypatch, tmp_path, elsewhere):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    storage = ObjectStorage(memory).keeping_copies()
    with storage.new_folder("one") as folder:
        (folder / "a").write_bytes(b"12")
    elsewhere()
    monkeypatch.setattr(MemoryFileSystem, "get_file", None)  # it isn't asked
    copy = ObjectStorage(memory).keeping_copies().local_dir("one")
    assert (copy / "a").read_bytes() == b"12"
    assert copy.is_relative_to(tmp_path)


@pytest.mark.parametrize(
    ("address", "kind", "told"),
    [
        (
            "s3://no-such-bucket/store",
            StorageError,
            r"^s3://no-such-bucket/store/versions: can't be written \(",
        ),
        ("away://bucket/store", InputError, r"^store away://bucket/store: Protocol not known: away"),
        ("gs://bucket/store", InputError, r"^store gs://bucket/store: .*gcsfs"),
    ],
)
def test_an_address_that_takes_nothing_is_told_in_one_line(bucket, address, kind, told):
    with pytest.raises(kind, match=told) as raised:
        Store(address).check_writable()
    assert "\n" not in str(raised.value)
    assert not isinstance(raised.value, UnavailableError)


def test_a_store_that_does_not_answer_may_answer_later(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setitem(object_storage.FRESH, "skip_instance_cache", value=True)
    with pytest.raises(UnavailableError, match=r"^s3://.*: can't be used \(.*127\.0\.0\.1:9"):
        Store(f"{bucket}/store").champion()


def test_the_check_leaves_nothing(bucket):
    Store(f"{bucket}/store").check_writable()
    assert fsspec.filesystem("s3").ls(bucket, refresh=True) == []


def test_a_history_with_a_line_that_is_none_is_said_so(memory):
    store = Store(memory)
    publish(store, promoted=False, champion=None)
    fsspec.filesystem("memory").pipe_file("/digits/history.jsonl", b'{"event": "deci')
    publish(store, promoted=False, champion=None)
    assert [event["version"] for event in store.history()] == [1, 2], "what was cut short is told by the cards"
    fsspec.filesystem("memory").pipe_file("/digits/history.jsonl", json.dumps({}).encode() + b"\nscribble\n")
    with pytest.raises(StoreError, match=r"memory://digits/history\.jsonl: a line isn't JSON"):
        store.history()
