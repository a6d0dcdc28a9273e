"""Exports in a store, in a folder and in an object store: replaced as a whole, checked, removed with their version."""

import errno
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from samples import publish

from artifacts.store.folder_storage import FolderStorage
from artifacts.store.store import Store
from schemas.errors import StoreError

CARD = {"weights_digest": "weights"}


@pytest.fixture(params=["folder", "bucket"])
def exports(request, tmp_path):
    return Store(tmp_path if request.param == "folder" else request.getfixturevalue("bucket")).exports


def add(exports, version, *names):
    """Add an export of files and folders of these names."""
    with TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(name)
        return exports.add(version, "savedmodel", Path(folder), {"version": version, **CARD})


def test_an_export_replaces_the_one_before(exports):
    add(exports, 1, "old.pb", "variables/index")
    record = add(exports, 1, "new.pb", "variables/index")
    assert set(record["files"]) == {"new.pb", "variables/index"}
    assert exports.names(1) == ["savedmodel"]
    assert exports.faults(1, CARD) == []
    stored = exports._of(1).child("savedmodel")
    assert set(stored.sizes()) == {"new.pb", "variables/index", "export.json"}


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("variables/index", b"changed", "variables/index was changed: its SHA-256 is d67e2e944994…, not"),
        ("added.pb", b"added", "added.pb isn't listed in export.json; export it again"),
        ("export.json", b"{}", "export.json can't be read (KeyError('files')); export it again"),
        ("export.json", b"damaged", "export.json can't be read ("),
    ],
)
def test_a_changed_export_is_named(exports, file, content, fault):
    add(exports, 1, "new.pb", "variables/index")
    exports._of(1).child("savedmodel").write(file, content)
    (found,) = exports.faults(1, CARD)
    assert found.startswith(f"export savedmodel: {fault}")


def test_an_export_of_other_weights_is_named(exports):
    add(exports, 1, "new.pb")
    assert exports.faults(1, {"weights_digest": "other"}) == [
        "export savedmodel: was made from other weights; export it again"
    ]


def test_an_export_is_removed_with_its_version(tmp_path):
    store = Store(tmp_path)
    publish(store)
    add(store.exports, 1, "new.pb")
    publish(store, keep=1)
    publish(store, keep=1)
    assert store.exports.names(1) == []


def test_exports_of_versions_that_are_gone_are_removed(exports):
    for version in (1, 2):
        add(exports, version, "new.pb")
    exports.tidy(lambda: [2], idle_seconds=0)
    assert (exports.names(1), exports.names(2)) == ([], ["savedmodel"])


@pytest.mark.parametrize(
    ("code", "expected", "message"),
    [
        (errno.ENOTEMPTY, StoreError, "another run exports it; wait for that"),
        (errno.ENOSPC, OSError, "the system's reason"),
    ],
)
def test_export_that_another_run_adds_meanwhile_is_one_line(tmp_path, monkeypatch, code, expected, message):
    def add_folder(*_):
        raise OSError(code, "the system's reason")

    monkeypatch.setattr(FolderStorage, "add_folder", add_folder)
    with pytest.raises(expected, match=message):
        add(Store(tmp_path).exports, 1, "new.pb")
