"""Which folder can be an inbox."""

import errno
import fcntl
import os
import socket
from pathlib import Path
from queue import Queue
from threading import Event, Thread

import pytest
from samples import ROOT

from flows.train_flow import check
from schemas.compute import LOCAL
from schemas.errors import InputError
from schemas.recipe import Overrides
from tasks.inbox import folder
from tasks.inbox.folder import Inbox


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def test_inbox_path_at_or_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "inbox"):
        with pytest.raises(InputError, match=r"file is a file; a folder is needed"):
            Inbox(place).check()
    Inbox(tmp_path / "new" / "inbox").check()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["done", "rejected"])
def test_file_in_place_of_an_inbox_subfolder_is_refused(inbox, name):
    (inbox / name).write_text("")
    with pytest.raises(InputError, match=rf"{name} is a file; a folder is needed"):
        Inbox(inbox).check()


def test_inbox_that_is_a_broken_link_or_cant_be_created_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="link is a broken link; a folder is needed"):
        Inbox(tmp_path / "link").check()
    with pytest.raises(InputError, match=r"can't be made \(.*\); a folder that can be written is needed"):
        Inbox(Path("/proc/inbox")).locked(print).__enter__()


@pytest.mark.parametrize("inbox", ["", ".", "..", "box", "box/versions", "pictures", "pictures/0", "~", "/", "data"])
def test_inbox_that_overlaps_other_files_is_refused(tmp_path, inbox, monkeypatch):
    """The working folder, the store, a source, the home folder, the project, or a folder around them."""
    (tmp_path / "cwd" / "pictures" / "0").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "cwd")
    path = {"~": Path.home(), "data": ROOT / "data"}.get(inbox, Path(inbox))
    with pytest.raises(InputError, match="use a folder for new files only"):
        check(
            "mnist",
            recipe="plain",
            overrides=Overrides(),
            test_source="pictures",
            inbox=str(path),
            compute=LOCAL,
            store="box",
        )
    Inbox(Path("inbox")).check("pictures", Path("box"), None)


@pytest.mark.parametrize(("seconds", "is_stable"), [(-10, True), (-1, False), (1, False), (3600, True)])
def test_file_from_before_the_clock_was_set_back_is_not_waited_for(inbox, monkeypatch, seconds, is_stable):
    (inbox / "new.csv").write_text("")
    monkeypatch.setattr(folder, "_change_time", lambda _, now: now + seconds)
    assert Inbox(inbox).waiting() == (([inbox / "new.csv"], []) if is_stable else ([], [inbox / "new.csv"]))


def test_run_that_waits_for_another_says_for_which(inbox, monkeypatch):
    monkeypatch.setattr(folder, "HOLDER_SECONDS", 0.1)
    messages, entered = Queue(), Event()

    def wait() -> None:
        with Inbox(inbox).locked(messages.put):
            entered.set()

    waiting = Thread(target=wait)
    with Inbox(inbox).locked(pytest.fail):
        waiting.start()
        holder = f"locked by process {os.getpid()} on {socket.gethostname()}"
        assert messages.get(timeout=30) == f"--inbox {inbox}: {holder}; this run waits; if that process hangs, end it"
        assert not entered.is_set()
    waiting.join(timeout=30)
    assert entered.is_set()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_disk_without_locks_is_refused(inbox, monkeypatch, number):
    def unsupported(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(InputError, match=r"^--inbox .*: its disk has no locks \(.*\); use a folder on another one$"):
        Inbox(inbox).locked(pytest.fail).__enter__()
