"""Folders that are uploaded to an object store or downloaded from it: whole, or an error."""

from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from samples import publish

from artifacts.store.storage import ObjectStorage
from artifacts.store.store import Store
from schemas.errors import StoreError, UnavailableError


@pytest.fixture
def truncated(monkeypatch):
    """Return a function that lets a method of the file system leave an empty file, as a lost connection does."""

    def truncate(method):
        original = getattr(MemoryFileSystem, method)

        def call(self, source, target, **options):
            original(self, source, target, **options)
            if method == "get_file":
                Path(target).write_bytes(b"")
            else:
                self.pipe_file(target, b"")

        monkeypatch.setattr(MemoryFileSystem, method, call)

    return truncate


def upload(storage):
    with storage.new_folder("one") as folder:
        (folder / "a").write_bytes(b"12")


def test_upload_that_was_cut_is_an_error(memory, truncated):
    truncated("put_file")
    with pytest.raises(UnavailableError, match=r"one: differs from what was uploaded$"):
        upload(ObjectStorage(memory))


def test_download_that_was_cut_leaves_no_copy(memory, truncated):
    storage = ObjectStorage(memory)
    upload(storage)
    storage.discard("one")
    truncated("get_file")
    with pytest.raises(FileNotFoundError, match="one: changed while it was downloaded"):
        storage.local_dir("one")
    assert not (storage.scratch() / "one").exists()


def test_version_that_the_disk_has_no_room_for_is_named(memory, monkeypatch):
    store = Store(memory)
    publish(store)
    store._versions.discard("1")

    def disk_full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(MemoryFileSystem, "get_file", disk_full)
    with pytest.raises(StoreError, match=r"^version 1: can't be downloaded \(No space left on device\)$"):
        store.local_dir(1)
