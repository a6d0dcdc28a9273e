# ruff: noqa: E501, tables are read across
"""The inbox: its files' new rows are trained on, or the file is rejected with the reason."""

import dataclasses
import errno
import logging
import os
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from samples import draw_digits, newest_artifact

from artifacts.store.store import Store
from flows.train_flow import train_flow
from schemas.errors import InputError
from schemas.pixel_frame import labelled_frame
from schemas.recipe import Overrides
from schemas.rules import DEFAULT_RULES, Rules
from tasks import read_inbox
from tasks.inbox import child, folder
from tasks.inbox.folder import Inbox
from tasks.inbox.merger import InboxMerger, add_accepted
from tasks.orchestration import process_inbox
from tasks.sources import datasets
from tasks.validation import profiles
from tasks.validation.check_rows import check_frame
from tasks.validation.labels import LabelChecker

CHECKER = LabelChecker(profiles.load_embedded())
QUICK = Overrides(epochs=4, batch_size=32, learning_rate=0.01, validation_fraction=0.1)


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def base(tiny_npz):
    return datasets.load(str(tiny_npz), None, DEFAULT_RULES)


def put(path, pixels, labels):
    """Write an .npz file."""
    np.savez(path, x=pixels, y=labels)


@pytest.fixture(autouse=True)
def stable(monkeypatch):
    """Treat all files as stable: the change time of a file can't be set."""
    monkeypatch.setattr(folder, "STABLE_SECONDS", -60.0)


@pytest.fixture(autouse=True)
def tables(monkeypatch):
    """Run the step without Prefect; return the tables that it reports."""
    tables = []
    for step in (read_inbox, process_inbox):
        monkeypatch.setattr(step, "get_run_logger", lambda: logging.getLogger("inbox"))
    monkeypatch.setattr(process_inbox, "create_table_artifact", lambda table, **_: tables.append(table))
    monkeypatch.setattr(process_inbox.events, "emit_refused_data", lambda *_: None)
    monkeypatch.setattr(process_inbox.events, "raise_data_alarm", lambda *_: None)
    monkeypatch.setattr(read_inbox, "Reader", InProcess)
    return tables


class InProcess:
    """Read files without a child process, which takes a second to start."""

    def __init__(self, rules):
        self.rules = rules

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read(self, path, *, is_accepted):
        return child.read(path, self.rules, is_accepted=is_accepted)


def read(base, inbox, rules=DEFAULT_RULES):
    return read_inbox.read_inbox.fn(base, inbox, rules, Store(inbox.parent / "store"))


def process(raw, rules=DEFAULT_RULES):
    """Accept or reject the inbox's files; return the source with their rows behind its own."""
    parts = {part: check_frame(rows, rules.repair) for part, rows in raw.parts.items()}
    merging = InboxMerger(raw, parts, rules, CHECKER)
    add_accepted(merging) if raw.inbox is None else process_inbox.accept_or_reject_files(merging, raw.inbox)
    raw, train = merging.merged()
    return dataclasses.replace(raw, train=train.read_input(np.arange(train.n_input)))


def merge(base, inbox, rules=DEFAULT_RULES):
    return process(read(base, inbox, rules), rules)


def test_new_rows_follow_the_source_in_every_later_run(base, inbox):
    put(inbox / "more.npz", *draw_digits(100, seed=5))
    first = merge(base, inbox)
    assert len(first.train) == 700
    assert first.train.index[600] == "more.npz:0"
    assert first.added == (str(inbox / "done" / "more.npz"),)
    put(inbox / "again.npz", *draw_digits(50, seed=6))
    second = merge(base, inbox)
    assert len(second.train) == 750
    assert second.name == "tiny.npz and 2 files of the inbox"
    assert len(base.train) == 600, "nothing of the source is changed"
    assert sorted(path.name for path in inbox.iterdir()) == [".lock", "done", "rejected"]


def test_copy_of_an_accepted_file_is_rejected(base, inbox):
    put(inbox / "a.npz", *draw_digits(100, seed=5))
    shutil.copy2(inbox / "a.npz", inbox / "b.npz")
    assert len(merge(base, inbox).train) == 700
    assert [path.name for path in (inbox / "done").iterdir()] == ["a.npz"]
    reason = (inbox / "rejected" / "b.npz.reason.txt").read_text()
    assert reason == "b.npz: the same as done/a.npz, which was already accepted\n"


def test_known_rows_are_skipped_and_new_ones_beside_them_added(base, inbox):
    pixels, labels = draw_digits(100, seed=5)
    put(inbox / "a.npz", pixels[:60], labels[:60])
    put(inbox / "b.npz", pixels, labels)
    assert len(merge(base, inbox).train) == 700
    assert len(list((inbox / "done").iterdir())) == 2


def test_file_with_few_rows_of_one_class_is_accepted(base, inbox):
    pixels, labels = draw_digits(100, seed=5)
    put(inbox / "sevens.npz", pixels[labels == 7], labels[labels == 7])
    assert len(merge(base, inbox).train) == 610


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


def test_shards_go_with_an_empty_inbox_only(tmp_path, inbox):
    labelled_frame(*draw_digits(100, 1)).to_parquet(tmp_path / "part-0.parquet", index=False)
    source = datasets.load(str(tmp_path / "part-*.parquet"), None, DEFAULT_RULES)
    assert read(source, inbox) is source
    assert read(source, inbox / "absent") is source
    put(inbox / "more.npz", *draw_digits(100, seed=5))
    with pytest.raises(InputError, match=r"more\.npz and other files .* use an inbox without files, or none"):
        read(source, inbox)
    assert [path.name for path in inbox.iterdir()] == ["more.npz"], "nothing was moved"


def test_file_that_may_still_be_written_waits_whatever_its_times(base, inbox, monkeypatch):
    monkeypatch.setattr(folder, "STABLE_SECONDS", 3600.0)
    long_ago, ahead = time.time() - 10**6, time.time() + 10**6
    for name in ("fresh.npz", "copied.npz", "ahead.npz"):
        put(inbox / name, *draw_digits(50, 6))
    os.utime(inbox / "copied.npz", (long_ago, long_ago))
    os.utime(inbox / "ahead.npz", (ahead, ahead))
    (inbox / "scans" / "3").mkdir(parents=True)
    for scans in (inbox / "scans" / "3", inbox / "scans"):
        os.utime(scans, (long_ago, long_ago))
    assert len(merge(base, inbox).train) == 600
    assert {path.name for path in inbox.iterdir()} >= {"fresh.npz", "copied.npz", "ahead.npz", "scans"}
    monkeypatch.setattr(folder, "STABLE_SECONDS", -1.0)  # as if it were later
    assert Inbox(inbox).waiting()[1] == [], "a file time in the future doesn't matter"


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


def test_relabel_applies_to_the_source_and_to_files_of_the_inbox(tmp_path, inbox):
    rules = Rules(relabel="10=0")
    (old, old_labels), (new, new_labels) = draw_digits(200, seed=1), draw_digits(100, seed=5)
    put(tmp_path / "ten.npz", old, np.where(old_labels == 0, 10, old_labels))
    put(inbox / "ten.npz", new, np.where(new_labels == 0, 10, new_labels))
    base = datasets.load(str(tmp_path / "ten.npz"), None, rules)
    raw = read(base, inbox, rules)
    parts = {"train": check_frame(base.train, rules.repair, rules.relabel)}
    merging = InboxMerger(raw, parts, rules, CHECKER)
    process_inbox.accept_or_reject_files(merging, raw.inbox)
    assert merging.merged()[1].images.labels.tolist() == [*old_labels, *new_labels]


def test_file_moved_out_of_done_is_no_longer_trained_on(base, inbox):
    for name, seed in (("a.npz", 5), ("b.npz", 6)):
        put(inbox / name, *draw_digits(50, seed=seed))
    assert len(merge(base, inbox).train) == 700
    (inbox / "done" / "a.npz").rename(inbox / "rejected" / "a.npz")
    withdrawn = merge(base, inbox)
    assert withdrawn.added == (str(inbox / "done" / "b.npz"),)
    assert len(withdrawn.train) == 650


@pytest.mark.parametrize("good_before", [True, False])
def test_file_that_changes_while_it_is_read_waits(base, inbox, monkeypatch, tables, good_before):
    read_file = child.read_file

    def change_after_reading(path, rules):
        frame = read_file(path, rules)
        put(path, *draw_digits(90, seed=7))
        return frame

    pixels, labels = draw_digits(50, seed=6)
    put(inbox / "slow.npz", pixels, labels if good_before else labels + 10)
    with monkeypatch.context() as patch:
        patch.setattr(child, "read_file", change_after_reading)
        assert len(merge(base, inbox).train) == 600
    assert "changed while it was read; left for the next run" in tables[0][0]["reason"]
    assert len(merge(base, inbox).train) == 690


def test_accepted_file_that_cant_be_read_any_more_is_left_out(base, inbox, tables):
    put(inbox / "a.npz", *draw_digits(50, seed=6))
    merge(base, inbox)
    (inbox / "done" / "a.npz").write_text("1,2\n3\n")
    put(inbox / "b.npz", *draw_digits(60, seed=7))
    assert len(merge(base, inbox).train) == 660
    assert [row["now"] for row in tables[-1]] == ["done/a.npz, left out", "done/b.npz"]


def test_rows_are_ordered_by_file_name_whichever_run_accepted_them(base, inbox):
    pixels, labels = draw_digits(100, seed=5)
    put(inbox / "b.npz", pixels, labels)
    merge(base, inbox)
    put(
        inbox / "a.npz",
        *(np.concatenate(two) for two in zip((pixels[:30], labels[:30]), draw_digits(40, 6), strict=True)),
    )
    first = merge(base, inbox)
    again = merge(base, inbox)
    assert first.added == again.added
    assert first.train.equals(again.train)
    assert first.train.index[600] == "a.npz:0"


def test_growing_exports_never_add_up_their_bad_rows(base, inbox):
    """Bad rows stay in their file, so the quarantined share never adds up to a refusal of the whole."""
    for week, number in enumerate((300, 310, 320)):
        pixels, labels = draw_digits(number, seed=5)
        labels[::150] = 17
        put(inbox / f"week{week}.npz", pixels, labels)
        loaded = merge(base, inbox)
        assert not list((inbox / "rejected").iterdir())
    assert (loaded.train["label"] == 17).sum() == 0
    assert len(loaded.train) == 600 + 320 - 3


def test_known_rows_are_skipped_with_a_repair_too(tmp_path, inbox):
    rules = Rules(repair=("scale",))
    pixels, labels = draw_digits(600, seed=1)
    put(tmp_path / "unit.npz", pixels / 255, labels)
    put(
        inbox / "more.npz",
        *(
            np.concatenate([ours, new])
            for ours, new in zip(
                (pixels / 255, labels), (draw_digits(50, 6)[0] / 255, draw_digits(50, 6)[1]), strict=True
            )
        ),
    )
    base = datasets.load(str(tmp_path / "unit.npz"), None, rules)
    assert len(merge(base, inbox, rules).train) == 650


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
    monkeypatch.setattr(process_inbox.events, "raise_data_alarm", lambda *alarm: reasons.append(alarm[-1]))
    for files in ([], ["bad.csv"], ["bad.csv", "good.npz"]):
        for name in files:
            if name == "good.npz":
                put(inbox / name, *draw_digits(50, seed=6))
            else:
                (inbox / name).write_text("hello")
        merge(base, inbox)
    assert reasons == ["", "all new files of the inbox were rejected: 1 file", ""]


def test_folder_of_pictures_is_accepted(base, inbox):
    from PIL import Image

    pixels, labels = draw_digits(20, seed=8)
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        (inbox / "scans" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(inbox / "scans" / str(label) / f"{number}.png")
    assert len(merge(base, inbox).train) == 620


def test_file_of_an_accepted_name_gets_a_number(base, inbox):
    for seed in (5, 6):
        put(inbox / "new.npz", *draw_digits(50, seed=seed))
        loaded = merge(base, inbox)
    assert len(loaded.train) == 700
    assert sorted(path.name for path in (inbox / "done").iterdir()) == ["new-2.npz", "new.npz"]


def test_source_with_wrong_columns_leaves_the_inbox_alone(base, inbox):
    put(inbox / "more.npz", *draw_digits(100, seed=5))
    other = labelled_frame(*draw_digits(10, 1)).rename(columns={"label": "digit"})
    raw = type(base)("other", other, None)
    assert read(raw, inbox) is raw
    assert [path.name for path in inbox.iterdir()] == ["more.npz"]


def test_killed_run_leaves_files_where_they_were(base, inbox):
    put(inbox / "more.npz", *draw_digits(100, seed=5))
    read(base, inbox)
    assert [path.name for path in inbox.iterdir() if path.is_file() and path.name != ".lock"] == ["more.npz"]


def test_file_that_another_run_accepts_meanwhile_is_added_once(base, inbox, tables):
    put(inbox / "more.npz", *draw_digits(100, seed=5))
    first, second = read(base, inbox), read(base, inbox)
    assert process(first).added == process(second).added == (str(inbox / "done" / "more.npz"),)
    assert [len(table) for table in tables] == [1], "it is reported once"


def test_accepted_file_of_another_scale_is_left_out(base, inbox, tables):
    put(inbox / "a.npz", draw_digits(50, seed=6)[0] / 255, draw_digits(50, seed=6)[1])
    (inbox / "done").mkdir()
    (inbox / "a.npz").rename(inbox / "done" / "a.npz")
    assert len(merge(base, inbox).train) == 600
    assert tables[0][0]["reason"] == "a.npz: its pixels don't have the scale of the source's"


@pytest.mark.prefect
def test_version_with_an_inbox_is_verified_and_reused(prefect_server, tiny_npz, inbox, tmp_path, monkeypatch):
    from flows.verify_flow import verify_flow

    monkeypatch.undo()
    monkeypatch.setattr(folder, "STABLE_SECONDS", -60.0)
    put(inbox / "more.npz", *draw_digits(100, seed=5))
    store = str(tmp_path / "store")
    run = {"source": str(tiny_npz), "inbox": str(inbox), "store": store, "recipe": "plain", "overrides": QUICK}
    assert train_flow(**run).version == 1
    card = Store(tmp_path / "store").card(1)
    assert card["data"]["rows"]["training"] + card["data"]["rows"]["held out"] == 700
    assert '"file": "more.npz"' in newest_artifact("inbox").data
    assert verify_flow(store=store).version == 1
    assert train_flow(**run).unchanged
    put(inbox / "again.npz", *draw_digits(50, seed=6))
    assert train_flow(**run).version == 2
