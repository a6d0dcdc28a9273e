"""A store of layout 1 is migrated by one command, as a folder and in an object store."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from samples import DAMAGED, ROOT, fill_version, promote, publish

from artifacts.store import migrate
from artifacts.store.store import Store
from schemas.errors import StoreError


def old_version(versions: Path, number: int, *, promoted: bool | None, champion: int | None) -> None:
    folder = versions / str(number)
    folder.mkdir(parents=True)
    card = fill_version(number, folder, promoted=promoted, champion=champion)
    if promoted is None:
        del card["decision"]
    (folder / "card.json").write_text(json.dumps(card))


@pytest.fixture
def old(tmp_path) -> Path:
    """Return a store of layout 1: 1 and 3 were promoted, 2 and 4 refused, 5 is gone, 6 wasn't recorded."""
    old = tmp_path / "old"
    versions = old / "versions"
    for number, promoted, champion in ((1, True, None), (2, False, 1), (3, True, 1), (4, False, 3), (6, True, 3)):
        old_version(versions, number, promoted=promoted, champion=champion)
    events = [
        {"event": "promotion", "version": 1, "over": None},
        {"event": "decision", "version": 2, "promoted": False, "accuracy": 0.9, "champion": 1},
        {"event": "promotion", "version": 3, "over": 1},
        {"event": "decision", "version": 4, "promoted": False, "accuracy": 0.9, "champion": 3},
    ]
    common = {"time": "2026-01-01T00:00:00.000+00:00", "run": "nightly", "reason": "said so"}
    lines = [json.dumps(common | event) + "\n" for event in events]
    (old / "history.jsonl").write_text("".join(lines) + '{"event": "deci')
    (old / "champion").write_text(lines[2])
    (old / ".lock").touch()
    (versions / ".last").write_text("7\n")
    (versions / ".unreported-4").touch()
    (old / "work" / "f").mkdir(parents=True)
    return old


@pytest.fixture(params=["folder", "bucket"])
def store_uri(request, old) -> str:
    if request.param == "folder":
        return str(old)
    bucket = request.getfixturevalue("bucket")
    files, uri = fsspec.filesystem("s3"), f"{bucket}/store"
    files.put(str(old), uri, recursive=True)
    for number in (1, 2, 3, 4, 6):
        files.pipe_file(f"{uri}/versions/.whole-{number}", b"{}")
    for name in ("versions/.new-8", "versions/8/card.json", "versions/8/model.keras", ".lease/12"):
        files.pipe_file(f"{uri}/{name}", b"{}")  # killed while it uploaded version 8
    return uri


def check_migrated(uri: str) -> None:
    store = Store(uri)
    assert store.versions() == [1, 2, 3, 4, 6]
    assert [fault for version in store.versions() for fault in store.faults(version)] == []
    history = store.history()
    assert [(event["event"], event["version"]) for event in history] == [
        ("promotion", 1), ("decision", 2), ("promotion", 3), ("decision", 4), ("promotion", 6), ("migration", 6),
    ]  # fmt: skip
    assert [event["state"]["refusals"] for event in history] == [0, 1, 0, 1, 0, 0]
    assert [event["state"]["champion"] for event in history] == [1, 1, 3, 3, 6, 6]
    assert (history[0]["run"], history[0]["reason"]) == ("nightly", "said so")
    assert (store.champion(), store.state().previous_champion, store.unreported()) == (6, 3, [4])


def test_store_of_layout_1_is_refused_with_the_command_that_migrates_it(store_uri):
    store = Store(store_uri)
    for use in (store.champion, store.versions, store.history, store.check_writable, store.recover):
        command = f"python -m artifacts.store.migrate {store_uri}"
        with pytest.raises(StoreError, match=rf"its layout is 1, not 2; migrate it with `{command}`$"):
            use()


def test_versions_champion_and_history_are_migrated(store_uri):
    migrate.migrate(store_uri)
    check_migrated(store_uri)
    store = Store(store_uri)
    assert {*store._root.names()} <= {"store.json", "history", "versions", "work"}
    assert {*store._versions.names()} == {"1", "2", "3", "4", "6"}
    migrate.migrate(store_uri)
    check_migrated(store_uri)
    promote(store, 4)
    assert publish(store, promoted=True) == 8, "7 was given before"
    assert store.state().previous_champion == 4


class Killed(BaseException):
    """Stands for SIGKILL."""


@pytest.mark.parametrize("method", ["create", "write", "remove", "remove_folder"])
def test_migration_that_was_killed_is_finished_by_another_one(old, tmp_path, monkeypatch, method):
    from artifacts.store.folder_storage import FolderStorage

    original = getattr(FolderStorage, method)
    for point in range(100):
        uri = str(shutil.copytree(old, tmp_path / f"{method}-{point}"))
        calls = []

        def killed(self, *args, calls=calls, point=point):
            calls.append(args)
            if len(calls) > point:
                raise Killed
            return original(self, *args)

        with monkeypatch.context() as patch:
            patch.setattr(FolderStorage, method, killed)
            try:
                migrate.migrate(uri)
                finished = True
            except Killed:
                finished = False
        migrate.migrate(uri)
        check_migrated(uri)
        if finished:
            break
    assert 0 < point < 99


@pytest.mark.parametrize("content", [line for line in DAMAGED if b"\n" not in line and line])
@pytest.mark.parametrize("name", ["champion", "history.jsonl"])
def test_damaged_line_of_layout_1_is_named_and_kept(old, name, content):
    lines = (old / name).read_bytes().splitlines(keepends=True) if name == "history.jsonl" else []
    (old / name).write_bytes(b"".join([*lines[:4], content, b"\n"]))
    (message,) = migrate.migrate(str(old))
    assert message.startswith(f"{old}/{name}: not an event (")
    assert message.endswith(f"); kept in {old}/damaged-history.jsonl")
    assert (old / "damaged-history.jsonl").read_bytes() == content + b"\n"
    check_migrated(str(old))
    assert publish(Store(old), promoted=True) == 8


def test_version_of_another_store_promotes_itself_in_no_migration(old):
    old_version(old / "versions", 20260101, promoted=True, champion=6)
    (old / "versions" / "20260102").mkdir()
    migrate.migrate(str(old))
    check_migrated(str(old))
    assert publish(Store(old)) == 8
    assert "version 20260101: not in this store's history" in Store(old).ignored()[0]


def test_command_migrates_a_store_and_reports_in_one_line(old, tmp_path):
    command = [sys.executable, "-m", "artifacts.store.migrate"]
    ended = subprocess.run([*command, old], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == f"{old}: 5 versions, champion 6, 6 events\n"
    failed = subprocess.run([*command, tmp_path / "none"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr == f"error: {tmp_path / 'none'}: there are no versions\n"
