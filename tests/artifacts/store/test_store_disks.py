"""Disks that fail and paths that can't be used: one line that says what to do, and the store stays as it was."""

import errno
import io
import os
import resource
from pathlib import Path

import pytest
from samples import promote, publish

from artifacts.store.store import Store
from schemas.errors import InputError, StorageError, StoreError

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
