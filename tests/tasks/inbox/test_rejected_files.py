# ruff: noqa: E501, a table is read across
"""Bad files of the inbox are rejected with their reason, and stop no run."""

import dataclasses
import errno
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from inboxes import merge, put
from samples import draw_digits

from schemas.errors import InputError
from schemas.rules import DEFAULT_RULES
from tasks.inbox import child
from tasks.orchestration import process_inbox
from tasks.sources import datasets

pytestmark = pytest.mark.usefixtures("stable", "tables")


def test_copy_of_an_accepted_file_is_rejected(base, inbox):
    put(inbox / "a.npz", *draw_digits(100, seed=5))
    shutil.copy2(inbox / "a.npz", inbox / "b.npz")
    assert len(merge(base, inbox).train) == 700
    assert [path.name for path in (inbox / "done").iterdir()] == ["a.npz"]
    reason = (inbox / "rejected" / "b.npz.reason.txt").read_text()
    assert reason == "b.npz: the same as done/a.npz, which was already accepted\n"


def wrong_labels(path, base):
    pixels, labels = draw_digits(600, seed=1)
    put(path, pixels, (labels + 1) % 10)


def leaking(path, base):
    np.savez(path, x=base.test.to_numpy()[:, 1:], y=base.test["label"])


def archive(path, header):
    with zipfile.ZipFile(path, "w") as members:
        members.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        members.writestr("y.npy", b"")


def unfinished_header(path, _):
    archive(path, b"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 28, 28L)\n")


def deep_header(path, _):
    archive(path, b"{'descr': '|u1', 'fortran_order': False, 'shape': " + b"-" * 9000 + b"1, }\n")


def unreadable_subfolder(path, _):
    (path / "3" / "secret").mkdir(parents=True)


def deep_folder(path, _):
    """Make folders inside each other whose path is longer than the system allows."""
    path.mkdir()
    inside = os.open(path, os.O_RDONLY)
    for _level in range(25):
        os.mkdir("x" * 200, dir_fd=inside)
        inside, outside = os.open("x" * 200, os.O_RDONLY, dir_fd=inside), inside
        os.close(outside)
    os.close(inside)


REFUSED = {
    "text.csv": (lambda path, _: path.write_text("hello\n"), "line 1: expected 785 columns, separated by commas"),
    "dark.npz": (lambda path, _: put(path, 255 - draw_digits(100, 5)[0], draw_digits(100, 5)[1]), "ink is dark"),
    "unlabelled.npz": (lambda path, _: put(path, draw_digits(100, 5)[0], np.full(100, 11)), "label"),
    "contradicting.npz": (wrong_labels, "600 new rows would have 1,200 rows quarantined (1,200 contradiction"),
    "tested.npz": (leaking, "(200 leak)"),
    "empty.parquet": (lambda path, _: path.write_bytes(b""), "empty"),
    "link.npz": (lambda path, _: path.symlink_to("/etc/hostname"), "a link; the file itself is needed"),
    "pipe": (lambda path, _: os.mkfifo(path), "pipe: neither a file nor a folder"),
    "pipe among pictures": (lambda path, _: (path / "3").mkdir(parents=True) or os.mkfifo(path / "3" / "a.png"), "a.png: a pipe or a device"),
    "sparse.csv": (lambda path, _: path.touch() or os.truncate(path, 10 << 40), "sparse.csv: 10,485,760 MiB or more once expanded; --max-expanded-mib allows 4,096"),
    "header.npz": (unfinished_header, "header.npz: not a readable .npz file"),
    "signs.npz": (deep_header, "signs.npz: not a readable .npz file"),
    "unreadable": (unreadable_subfolder, "unreadable: can't be read (Permission denied)"),
    "deep": (deep_folder, "deep: can't be read (File name too long)"),
    "bug.csv": (lambda path, _: path.write_text("raise"), "bug.csv: can't be read (RecursionError: too deep)"),
}  # fmt: skip


def refuse_as_root(monkeypatch):
    """Refuse to list folders named "secret", as the system does for other users than root; fail for one text."""
    scandir, read_file = os.scandir, child.read_file

    def refuse(path="."):
        if str(path).endswith("secret"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    def fail(path, rules):
        if path.name == "bug.csv":
            raise RecursionError("too deep")
        return read_file(path, rules)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(child, "read_file", fail)


@pytest.mark.parametrize("name", REFUSED)
def test_bad_file_is_rejected_with_its_reason_and_the_good_one_accepted(base, inbox, name, tables, monkeypatch):
    spoil, reason = REFUSED[name]
    refuse_as_root(monkeypatch)
    spoil(inbox / name, base)
    put(inbox / "good.npz", *draw_digits(50, seed=6))
    assert len(merge(base, inbox).train) == 650
    assert reason in (inbox / "rejected" / f"{name}.reason.txt").read_text()
    assert os.path.lexists(inbox / "rejected" / name)
    assert {row["now"] for row in tables[0]} == {"done/good.npz", f"rejected/{name}"}


def test_unreadable_file_is_rejected_but_retried_on_a_failing_disk(base, inbox, monkeypatch):
    def failing(number):
        def digest(_path):
            raise OSError(number, os.strerror(number))

        return digest

    put(inbox / "secret.npz", *draw_digits(50, seed=6))
    with monkeypatch.context() as patch:
        patch.setattr(child, "digest_content", failing(errno.EIO))
        with pytest.raises(InputError, match=r"secret\.npz: can't be read \(Input/output error\)"):
            merge(base, inbox)
    assert (inbox / "secret.npz").exists(), "the file still waits"
    monkeypatch.setattr(child, "digest_content", failing(errno.EACCES))
    assert len(merge(base, inbox).train) == 600
    assert "can't be read (Permission denied)" in (inbox / "rejected" / "secret.npz.reason.txt").read_text()


def with_random_labels(labels, share):
    random = np.random.default_rng(0)
    return np.where(random.random(len(labels)) < share, random.integers(0, 10, len(labels)), labels)


@pytest.mark.parametrize(
    ("new_labels", "reason"),
    [
        (lambda labels: (labels + 1) % 10, "labels look shifted, 0→1, 1→2"),
        (lambda labels: labels.replace({1: 7, 7: 1}), "labels look shifted, 1→7, 7→1 (digit→label)"),
        (lambda labels: with_random_labels(labels, 0.3), "of the labels look random"),
        (lambda labels: with_random_labels(labels, 1), "of the labels look random"),
    ],
)
def test_file_of_wrong_labels_is_rejected(inbox, new_labels, reason):
    mnist = datasets.load("mnist", None, DEFAULT_RULES)
    source = dataclasses.replace(mnist, train=mnist.train.iloc[:1000], test=None)
    rows = mnist.test.iloc[:500].to_numpy()
    put(inbox / "right.npz", rows[:, 1:], rows[:, 0])
    put(inbox / "wrong.npz", mnist.test.iloc[500:1000].to_numpy()[:, 1:], new_labels(mnist.test["label"][500:1000]))
    assert len(merge(source, inbox).train) == 1500
    assert reason in (inbox / "rejected" / "wrong.npz.reason.txt").read_text()
    assert "--" not in (inbox / "rejected" / "wrong.npz.reason.txt").read_text()


def test_file_that_contradicts_old_rows_is_rejected(base, inbox):
    pixels, labels = draw_digits(1000, seed=5)
    old = base.train.to_numpy()[:8]
    pixels[:8], labels[:8] = old[:, 1:].reshape(-1, 28, 28), (old[:, 0] + 1) % 10
    put(inbox / "spoiling.npz", pixels, labels)
    assert len(merge(base, inbox).train) == 600
    assert "1,000 new rows would have 16 rows quarantined" in (inbox / "rejected/spoiling.npz.reason.txt").read_text()


def test_reason_advises_only_what_an_inbox_takes(base, inbox):
    (inbox / "zeros.bin").write_bytes(b"x\0" * 10)
    put(inbox / "dark.npz", 255 - draw_digits(100, 5)[0], draw_digits(100, 5)[1])
    merge(base, inbox)
    reason = (inbox / "rejected" / "zeros.bin.reason.txt").read_text()
    assert "shards" not in reason
    assert "mnist" not in reason
    assert "--repair" not in (inbox / "rejected" / "dark.npz.reason.txt").read_text()


def test_pipe_and_unprintable_or_long_names_dont_stop_the_run(base, inbox, tables):
    os.mkfifo(inbox / "pipe")
    (inbox / os.fsdecode(b"la\xff.csv")).write_text("hello")
    (inbox / ("x" * 250)).write_text("hello")
    put(inbox / "good.npz", *draw_digits(50, seed=6))
    assert len(merge(base, inbox).train) == 650
    reasons = {row["file"]: row["reason"] for row in tables[0]}
    assert reasons["pipe"] == "pipe: neither a file nor a folder"
    assert reasons["la\\xff.csv"] == "la\\xff.csv: a name with hidden characters; rename it"
    assert reasons["x" * 250].endswith("can't be moved to rejected/ (File name too long)")


def test_file_that_cant_be_moved_stays_and_is_reported(base, inbox, monkeypatch, tables):
    put(inbox / "theirs.npz", *draw_digits(50, seed=6))

    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", denied)
        assert len(merge(base, inbox).train) == 600
    assert tables[0][0]["reason"] == "theirs.npz: can't be moved to rejected/ (Permission denied)"
    assert tables[0][0]["now"] == "theirs.npz"
    assert not list((inbox / "rejected").iterdir()), "and no reason is left there"


def test_reason_never_overwrites_a_file_of_its_name(base, inbox):
    for content, name in (("mine", "x.csv.reason.txt"), ("hello", "x.csv")):
        (inbox / name).write_text(content)
        merge(base, inbox)
    assert (inbox / "rejected" / "x.csv.reason.txt").read_text() == "mine"
    assert (inbox / "rejected" / "x-2.csv").read_text() == "hello"


def test_an_alarm_is_raised_only_if_all_new_files_are_rejected(base, inbox, monkeypatch):
    reasons = []
    monkeypatch.setattr(process_inbox.events, "raise_alarm", lambda *alarm: reasons.append(alarm[-1]))
    for files in ([], ["bad.csv"], ["bad.csv", "good.npz"]):
        for name in files:
            if name == "good.npz":
                put(inbox / name, *draw_digits(50, seed=6))
            else:
                (inbox / name).write_text("hello")
        merge(base, inbox)
    assert reasons == ["", "all new files of the inbox were rejected: 1 file", ""]
