"""The store in an object store: on S3's interface, served on this machine, and in fsspec's memory."""

import json
import multiprocessing
import shutil
from types import SimpleNamespace

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from samples import VERSION_FILES, promote, publish, store_of_three, visible_files

from artifacts.store import storage as storage_module
from artifacts.store.storage import ObjectStorage
from artifacts.store.store import Store
from schemas.errors import InputError, StorageError, UnavailableError


@pytest.fixture
def forget_copies():
    """Return a function that removes what this process has downloaded: another process never had it."""

    def forget() -> None:
        shutil.rmtree(storage_module._process_folder())
        storage_module._process_folder.cache_clear()

    return forget


def test_a_published_version_is_visible_to_another_process(bucket, forget_copies):
    store = Store(f"{bucket}/store")
    assert (store.versions(), store.champion(), store.history()) == ([], None, [])
    assert [publish(store), publish(store, "other", promoted=True), publish(store)] == [1, 2, 3]
    promote(store, 1)
    forget_copies()
    other = Store(f"{bucket}/store/")
    assert other.versions() == [1, 2, 3]
    assert (other.champion(), other.state().previous_champion) == (1, 2)
    assert [event["version"] for event in other.history()] == [1, 2, 3, 1]
    assert visible_files(other, 2) == VERSION_FILES
    assert other.find_by_fingerprint("other") == 2
    assert other.unreported() == [1, 2, 3]
    other.mark_reported(2)
    assert publish(other, keep=1) == 4
    assert store.unreported() == [1, 4]
    assert store.versions() == [1, 2, 4]
    assert store.version_uri(4) == f"{bucket}/store/versions/4"


def test_tampered_objects_are_named(bucket):
    store = Store(f"{bucket}/store")
    publish(store)
    publish(store)
    publish(store)
    assert store.faults(1) == []
    files = fsspec.filesystem("s3")
    versions = f"{bucket}/store/versions"
    files.pipe_file(f"{versions}/1/model.keras", b"wEights")
    files.rm_file(f"{versions}/2/metrics.json")
    card = store.card(3)
    card["figures"]["accuracy"] = 0.9999
    files.pipe_file(f"{versions}/3/card.json", json.dumps(card).encode())
    assert store.faults(1)[0].startswith("version 1: model.keras was changed"), "not the local copy is verified"
    assert store.faults(2) == ["version 2: metrics.json is missing"]
    assert store.faults(3) == ["version 3: card.json differs from the history"]
    files.pipe_file(f"{versions}/2/notes.txt", b"")
    files.pipe_file(f"{versions}/2/more/notes.txt", b"")
    assert {*store.faults(2)} > {f"version 2: {name} isn't listed on its card" for name in ("notes.txt", "more")}


# Kills, interrupted and delayed requests


class Killed(BaseException):
    """Raised by every request of a process that was killed."""


REQUESTS = ("pipe_file", "put_file", "cat_file", "ls", "find", "rm", "rm_file", "get_file")


def fail_requests(monkeypatch: pytest.MonkeyPatch, point: int, error: type[BaseException], n_failing: int) -> None:
    """Raise an error at the request of a number, and at the ones after it."""
    count = 0

    def counted(original):
        def request(*args, **kwargs):
            nonlocal count
            count += 1
            if point < count <= point + n_failing:
                raise error("no route")
            return original(*args, **kwargs)

        return request

    for name in REQUESTS:
        monkeypatch.setattr(MemoryFileSystem, name, counted(getattr(MemoryFileSystem, name)))


@pytest.mark.parametrize(("error", "n_failing"), [(Killed, 1_000_000), (ConnectionError, 4)])
def test_killed_or_interrupted_at_any_request_the_store_is_whole(memory, monkeypatch, forget_copies, error, n_failing):
    for point in range(1000):
        store = store_of_three(f"{memory}/{point}")
        failed = True
        with monkeypatch.context() as patch:
            fail_requests(patch, point, error, n_failing)
            try:
                promote(store, publish(store))
                publish(store, promoted=True, keep=2)
                failed = False
            except (Killed, UnavailableError):
                pass
        forget_copies()
        check_store(Store(store.uri))
        if not failed:
            break
        MemoryFileSystem.store.clear()
    assert 50 < point < 999, "each request was reached, the last run was not interrupted"


def check_store(store: Store) -> None:
    """Check that a store is whole, and that the next run can use it."""
    versions, champion, history = store.versions(), store.champion(), store.history()
    assert champion in versions
    for version in versions:
        assert visible_files(store, version) == VERSION_FILES
        assert store.faults(version) == []
    promoted = [event["version"] for event in history if event["event"] == "promotion"]
    assert promoted == [1, 2, 4, 5][: len(promoted)] or promoted == [1, 2, 5][: len(promoted)]
    assert promoted[-1] == champion
    assert len(history) == store.state().event
    assert store.unreported() == versions, "no report is forgotten"
    store.recover()
    number = publish(store)
    assert number > max(event["version"] for event in history)
    promote(store, number)
    publish(store, keep=1)
    assert store.versions() == sorted({champion, number, store.state().last_version})
    folders = fsspec.filesystem("memory").ls(store.version_uri(1).rpartition("/")[0], detail=False)
    assert {int(name.rsplit("/", 1)[-1]) for name in folders} == {*store.versions()}


def test_object_whose_creation_was_not_answered_is_created_once(memory, monkeypatch):
    storage, original, calls = ObjectStorage(memory), MemoryFileSystem.pipe_file, []

    def unanswered(self, path, value, **options):
        calls.append(path)
        original(self, path, value, **options)
        if len(calls) == 1:
            raise ConnectionError("the answer was lost")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", unanswered)
    assert storage.create("1", b"mine")
    assert len(calls) == 2
    assert not storage.create("1", b"theirs")
    assert storage.read("1") == b"mine"


@pytest.fixture
def delayed(monkeypatch):
    """Let the requests that create event 2 time out; return how to end this, and to let the first one arrive."""
    requests, original = [], MemoryFileSystem.pipe_file

    def lost(self, path, value, **options):
        if path.endswith("/history/000002.json"):
            requests.append((path, value, options))
            raise ConnectionError("timed out")
        original(self, path, value, **options)

    def arrive():
        path, value, options = requests[0]
        original(MemoryFileSystem(), path, value, **options)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", lost)
    return SimpleNamespace(end=lambda: monkeypatch.setattr(MemoryFileSystem, "pipe_file", original), arrive=arrive)


def publish_until_given_up(memory, delayed):
    """Publish a version, and a second one whose event doesn't arrive; return the store."""
    store = Store(memory)
    publish(store, promoted=True)
    with pytest.raises(UnavailableError):
        publish(store, promoted=True)
    delayed.end()
    return store


def test_event_that_arrives_after_its_writer_gave_up_counts(memory, delayed):
    store = publish_until_given_up(memory, delayed)
    assert (store.champion(), store.versions()) == (1, [1])
    delayed.arrive()
    assert (store.champion(), store.versions(), store.faults(2)) == (2, [1, 2], [])


def test_event_that_arrives_after_another_writer_decided_does_not_count(memory, delayed):
    store = publish_until_given_up(memory, delayed)
    assert publish(Store(memory), promoted=True) == 3
    with pytest.raises(FileExistsError):
        delayed.arrive()
    assert (store.champion(), store.versions()) == (3, [1, 3])
    assert not fsspec.filesystem("memory").exists("/digits/versions/2")


def _publish_many(uri: str, queue: multiprocessing.Queue) -> None:
    store = Store(uri)
    queue.put([publish(store, promoted=True) for _ in range(2)])


@pytest.mark.slow
def test_processes_that_publish_to_a_bucket_lose_nothing(bucket):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_publish_many, args=(f"{bucket}/store", queue)) for _ in range(3)]
    for process in processes:
        process.start()
    numbers = sorted(number for _ in processes for number in queue.get(timeout=300))
    for process in processes:
        process.join()
    store = Store(f"{bucket}/store")
    assert len(set(numbers)) == 6
    assert store.versions() == numbers
    assert [fault for version in store.versions() for fault in store.faults(version)] == []
    assert [event["version"] for event in store.history()] == numbers, "each decision once, in order"
    replaced = [event["state"]["previous_champion"] for event in store.history()]
    assert replaced == [None, *numbers[:-1]]
    assert store.champion() == numbers[-1]


# The storage


def test_one_of_two_writers_creates_an_object(bucket):
    storage = ObjectStorage(f"{bucket}/claims")
    assert [storage.create("1", b"mine"), storage.create("1", b"theirs")] == [True, False]
    assert storage.read("1") == b"mine"


def test_folder_lists_the_objects_that_a_rule_of_the_store_left(bucket):
    storage = ObjectStorage(f"{bucket}/folders")
    with storage.new_folder("one") as folder:
        (folder / "a").write_bytes(b"12")
        (folder / "b").write_bytes(b"3")
    with storage.new_folder("one-more") as folder:
        (folder / "c").write_bytes(b"3")
    assert sorted(storage.names()) == ["one", "one-more"]
    assert storage.child("one").sizes() == {"a": 2, "b": 1}
    fsspec.filesystem("s3").rm_file(f"{bucket}/folders/one/a")
    assert storage.child("one").sizes() == {"b": 1}
    storage.remove_folder("one")
    assert storage.names() == ["one-more"]
    with pytest.raises(FileNotFoundError):
        storage.local_dir("one")


def test_damaged_copy_is_downloaded_again(memory):
    storage = ObjectStorage(memory)
    with storage.new_folder("one") as folder:
        (folder / "a").write_bytes(b"12")
    copy = storage.local_dir("one")
    (copy / "a").write_bytes(b"")
    assert (storage.local_dir("one") / "a").read_bytes() == b""
    storage.discard("one")
    assert (storage.local_dir("one") / "a").read_bytes() == b"12"
    (copy / "a").write_bytes(b"")
    assert (storage.local_dir("one", fresh=True) / "a").read_bytes() == b"12"


def test_large_copies_stay_for_the_next_process(memory, monkeypatch, tmp_path, forget_copies):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    storage = ObjectStorage(memory, keep_copies=True)
    with storage.new_folder("one") as folder:
        (folder / "a").write_bytes(b"12")
    monkeypatch.setattr(MemoryFileSystem, "get_file", None)  # nothing is downloaded
    copy = ObjectStorage(memory, keep_copies=True).local_dir("one")
    assert (copy / "a").read_bytes() == b"12"
    assert copy.is_relative_to(tmp_path)


def test_store_that_was_copied_from_a_folder_is_complete(memory, tmp_path):
    local = Store(tmp_path / "store")
    publish(local, promoted=True)
    fsspec.filesystem("memory").put(local.uri, "/digits", recursive=True)
    store = Store(memory)
    assert (store.versions(), store.champion(), store.faults(1)) == ([1], 1, [])
    assert visible_files(store, 1) == VERSION_FILES
    assert publish(store) == 2


# Stores that can't be used


def test_object_store_that_refuses_no_second_writer_is_refused(memory, monkeypatch):
    original = MemoryFileSystem.pipe_file
    monkeypatch.setattr(
        MemoryFileSystem, "pipe_file", lambda self, path, value, mode="overwrite": original(self, path, value)
    )
    with pytest.raises(StorageError, match=r"creates an object that exists already"):
        Store(memory).check_writable()


def test_store_in_memory_is_refused(memory):
    with pytest.raises(StorageError, match=r"^memory://digits/versions: exists only in this process"):
        Store(memory).check_writable()
    assert MemoryFileSystem.store == {}


@pytest.mark.parametrize("uri", ["s3:/bucket/store", "s3://", "memory://"])
def test_incomplete_address_is_refused(uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="incomplete address; write it like s3://bucket/digits; a store is"):
        Store(uri)
    assert not list(tmp_path.iterdir())


def test_cache_folder_that_cannot_be_created_is_named(memory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    with pytest.raises(StorageError, match=r"^/proc/nowhere/.*: can't be created for copies of memory://digits"):
        ObjectStorage(memory, keep_copies=True).local_dir("one")


@pytest.mark.parametrize(
    ("uri", "kind", "message"),
    [
        ("s3://no-such-bucket/store", StorageError, r"^s3://no-such-bucket/store/versions: can't be written \("),
        ("away://bucket/store", InputError, r"^away://bucket/store: Protocol not known: away"),
        ("gs://bucket/store", InputError, r"^gs://bucket/store: .*gcsfs"),
    ],
)
def test_address_that_takes_nothing_is_one_line(bucket, uri, kind, message):
    with pytest.raises(kind, match=message) as raised:
        Store(uri).check_writable()
    assert "\n" not in str(raised.value)
    assert not isinstance(raised.value, UnavailableError)


def test_store_that_does_not_answer_may_answer_later(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setitem(storage_module.FRESH, "skip_instance_cache", value=True)
    with pytest.raises(UnavailableError, match=r"^s3://.*: can't be used \(.*127\.0\.0\.1:9"):
        Store(f"{bucket}/store").champion()


def test_check_of_an_object_store_leaves_nothing(bucket):
    Store(f"{bucket}/store").check_writable()
    assert fsspec.filesystem("s3").ls(bucket, refresh=True) == []
