"""The inbox: what is dropped there is trained on, once, or put aside with the reason; a version tells of it."""

import errno
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from samples import ROOT, draw_digits, newest_artifact

from artifacts.store.store import Store
from flows.train_flow import check, train_flow
from schemas.compute import LOCAL
from schemas.errors import InputError
from schemas.pixel_frame import labelled_frame
from schemas.recipe import Overrides
from schemas.rules import DEFAULT_RULES, Rules
from tasks.inbox import folder as machinery
from tasks.inbox.folder import Inbox
from tasks.inbox.merger import InboxMerger
from tasks.merge_inbox import merge_inbox
from tasks.sources import formats

QUICK = Overrides(epochs=4, batch_size=32, learning_rate=0.01, validation_fraction=0.1)


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def base(tiny_npz):
    return formats.load(str(tiny_npz), None, DEFAULT_RULES)


def dropped(path, pixels, labels):
    """Drop an .npz."""
    np.savez(path, x=pixels, y=labels)


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Take all files for those that nobody writes to any more: the time of a change can't be set."""
    monkeypatch.setattr(machinery, "SETTLED_SECONDS", -60.0)


def collected(base, inbox, rules=DEFAULT_RULES):
    return merge_inbox.fn(base, inbox, rules)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Run the step alone, without Prefect round it."""
    import logging

    import tasks.merge_inbox

    told = []
    monkeypatch.setattr(tasks.merge_inbox, "get_run_logger", lambda: logging.getLogger("collect"))
    monkeypatch.setattr(tasks.merge_inbox, "create_table_artifact", lambda table, **_: told.append(table))
    monkeypatch.setattr(tasks.merge_inbox.events, "emit_refused_data", lambda *_: None)
    return told


def test_new_rows_stand_behind_those_of_the_source_and_are_there_at_every_later_run(base, inbox):
    dropped(inbox / "more.npz", *draw_digits(100, seed=5))
    first = collected(base, inbox)
    assert len(first.train) == 700
    assert first.train.index[600] == "more.npz:0"
    assert first.added == (str(inbox / "done" / "more.npz"),)
    dropped(inbox / "again.npz", *draw_digits(50, seed=6))
    second = collected(base, inbox)
    assert len(second.train) == 750
    assert second.name == "tiny.npz and 2 files of the inbox"
    assert len(base.train) == 600, "nothing of the source is changed"
    assert sorted(path.name for path in inbox.iterdir()) == [".lock", "done", "rejected"]


def test_the_same_file_twice_counts_once(base, inbox):
    dropped(inbox / "a.npz", *draw_digits(100, seed=5))
    shutil.copy2(inbox / "a.npz", inbox / "b.npz")
    assert len(collected(base, inbox).train) == 700
    assert [path.name for path in (inbox / "done").iterdir()] == ["a.npz"]
    reason = (inbox / "rejected" / "b.npz.reason.txt").read_text()
    assert reason == "b.npz: the same as done/a.npz, which counts already\n"


def test_rows_that_are_there_already_are_left_out_and_new_ones_beside_them_count(base, inbox):
    pixels, labels = draw_digits(100, seed=5)
    dropped(inbox / "a.npz", pixels[:60], labels[:60])
    dropped(inbox / "b.npz", pixels, labels)
    assert len(collected(base, inbox).train) == 700
    assert len(list((inbox / "done").iterdir())) == 2


def test_a_file_may_hold_few_and_of_one_class(base, inbox):
    pixels, labels = draw_digits(100, seed=5)
    dropped(inbox / "sevens.npz", pixels[labels == 7], labels[labels == 7])
    assert len(collected(base, inbox).train) == 610


def wrong_labels(path, base):
    pixels, labels = draw_digits(600, seed=1)
    dropped(path, pixels, (labels + 1) % 10)


def leaking(path, base):
    np.savez(path, x=base.test.to_numpy()[:, 1:], y=base.test["label"])


REFUSED = {
    "text.csv": (lambda path, _: path.write_text("hello\n"), "line 1 has one column"),
    "dark.npz": (lambda path, _: dropped(path, 255 - draw_digits(100, 5)[0], draw_digits(100, 5)[1]), "ink is dark"),
    "unlabelled.npz": (lambda path, _: dropped(path, draw_digits(100, 5)[0], np.full(100, 11)), "label"),
    "contradicting.npz": (wrong_labels, "600 new rows would have 1,200 rows set aside (1,200 contradiction"),
    "tested.npz": (leaking, "(200 leak)"),
    "empty.parquet": (lambda path, _: path.write_bytes(b""), "empty"),
    "link.npz": (lambda path, _: path.symlink_to("/etc/hostname"), "a link; the file itself is needed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_fit_is_put_aside_with_its_reason_and_the_run_goes_on(base, inbox, name, quiet):
    spoil, reason = REFUSED[name]
    spoil(inbox / name, base)
    dropped(inbox / "good.npz", *draw_digits(50, seed=6))
    assert len(collected(base, inbox).train) == 650
    assert reason in (inbox / "rejected" / f"{name}.reason.txt").read_text()
    assert os.path.lexists(inbox / "rejected" / name)
    assert {row["now"] for row in quiet[0]} == {"done/good.npz", f"rejected/{name}"}


def test_a_file_that_may_not_be_read_is_put_aside_and_one_on_a_failing_disk_is_tried_again(base, inbox, monkeypatch):
    def failing(number):
        def digest(_path):
            raise OSError(number, os.strerror(number))

        return digest

    dropped(inbox / "secret.npz", *draw_digits(50, seed=6))
    with monkeypatch.context() as patch:
        patch.setattr(machinery, "_digest", failing(errno.EIO))
        with pytest.raises(InputError, match=r"secret\.npz: can't be read \(Input/output error\)"):
            collected(base, inbox)
    assert (inbox / "secret.npz").exists(), "nothing was decided"
    monkeypatch.setattr(machinery, "_digest", failing(errno.EACCES))
    assert len(collected(base, inbox).train) == 600
    assert "can't be read (Permission denied)" in (inbox / "rejected" / "secret.npz.reason.txt").read_text()


def test_what_cannot_be_an_inbox_is_said_plainly(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "inbox"):
        with pytest.raises(InputError, match=r"file is a file; a folder is needed"):
            Inbox(place).check()
    Inbox(tmp_path / "new" / "inbox").check()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["done", "rejected"])
def test_a_file_in_the_place_of_one_of_its_folders_is_said_plainly(inbox, name):
    (inbox / name).write_text("")
    with pytest.raises(InputError, match=rf"{name} is a file; a folder is needed"):
        Inbox(inbox).check()


def test_an_inbox_that_leads_nowhere_or_cannot_be_made_is_said_plainly(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="link is a link to nowhere; a folder is needed"):
        Inbox(tmp_path / "link").check()
    with pytest.raises(InputError, match=r"can't be made \(.*\); a folder that can be written is needed"):
        Inbox(Path("/proc/inbox")).opened().__enter__()


@pytest.mark.parametrize("inbox", ["", ".", "..", "box", "box/versions", "pictures", "pictures/0", "~", "/", "data"])
def test_what_an_inbox_would_move_away_is_refused(tmp_path, inbox, monkeypatch):
    """The working folder, the store, a source, the home folder, the project with its digits: or what holds them."""
    (tmp_path / "cwd" / "pictures" / "0").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "cwd")
    path = {"~": Path.home(), "data": ROOT / "data"}.get(inbox, Path(inbox))
    with pytest.raises(InputError, match="a folder for new files alone is needed"):
        check("mnist", "pictures", path, Path("box"), "plain", QUICK, LOCAL)
    Inbox(Path("inbox")).check("pictures", Path("box"), None)


def test_shards_have_no_inbox_but_an_empty_one_does_no_harm(tmp_path, inbox):
    labelled_frame(*draw_digits(100, 1)).to_parquet(tmp_path / "part-0.parquet", index=False)
    source = formats.load(str(tmp_path / "part-*.parquet"), None, DEFAULT_RULES)
    assert collected(source, inbox) is source
    assert collected(source, inbox / "absent") is source
    dropped(inbox / "more.npz", *draw_digits(100, seed=5))
    with pytest.raises(
        InputError, match=r"more\.npz and whatever else .* an inbox without files, or none, goes with it"
    ):
        collected(source, inbox)
    assert [path.name for path in inbox.iterdir()] == ["more.npz"], "nothing was moved"


def test_a_file_that_is_still_changing_waits_whatever_times_it_has(base, inbox, monkeypatch):
    monkeypatch.setattr(machinery, "SETTLED_SECONDS", 3.0)
    long_ago, ahead = time.time() - 10**6, time.time() + 10**6
    for name in ("fresh.npz", "copied.npz", "ahead.npz"):
        dropped(inbox / name, *draw_digits(50, 6))
    os.utime(inbox / "copied.npz", (long_ago, long_ago))
    os.utime(inbox / "ahead.npz", (ahead, ahead))
    (inbox / "scans" / "3").mkdir(parents=True)
    for folder in (inbox / "scans" / "3", inbox / "scans"):
        os.utime(folder, (long_ago, long_ago))
    assert len(collected(base, inbox).train) == 600
    assert {path.name for path in inbox.iterdir()} >= {"fresh.npz", "copied.npz", "ahead.npz", "scans"}
    monkeypatch.setattr(machinery.time, "time", lambda: ahead - 10**5)
    assert Inbox(inbox).waiting()[1] == [], "a clock that was ahead delays nothing"


def test_what_changes_while_it_is_read_waits_where_it_was(base, inbox, monkeypatch, quiet):
    read = InboxMerger.read

    def changed_meanwhile(self, path):
        frame = read(self, path)
        dropped(path, *draw_digits(90, seed=7))
        return frame

    dropped(inbox / "slow.npz", *draw_digits(50, seed=6))
    with monkeypatch.context() as patch:
        patch.setattr(InboxMerger, "read", changed_meanwhile)
        assert len(collected(base, inbox).train) == 600
    assert "changed while it was read; it waits" in quiet[0][0]["reason"]
    assert len(collected(base, inbox).train) == 690


def test_a_file_of_done_that_cannot_be_read_is_told_and_left_out(base, inbox, quiet):
    dropped(inbox / "a.npz", *draw_digits(50, seed=6))
    collected(base, inbox)
    (inbox / "done" / "a.npz").write_text("1,2\n3\n")
    dropped(inbox / "b.npz", *draw_digits(60, seed=7))
    assert len(collected(base, inbox).train) == 660
    assert [row["now"] for row in quiet[-1]] == ["done/a.npz, left out", "done/b.npz"]


def test_rows_stand_by_the_names_of_their_files_whatever_run_took_them(base, inbox):
    pixels, labels = draw_digits(100, seed=5)
    dropped(inbox / "b.npz", pixels, labels)
    collected(base, inbox)
    dropped(
        inbox / "a.npz",
        *(np.concatenate(two) for two in zip((pixels[:30], labels[:30]), draw_digits(40, 6), strict=True)),
    )
    first = collected(base, inbox)
    again = collected(base, inbox)
    assert first.added == again.added
    assert first.train.equals(again.train)
    assert first.train.index[600] == "a.npz:0"


def test_exports_that_grow_never_bring_their_bad_rows_again(base, inbox):
    """A row that is bad stays in its file; so the share of rows set aside never piles up to a refusal of the whole."""
    for week, number in enumerate((300, 310, 320)):
        pixels, labels = draw_digits(number, seed=5)
        labels[::150] = 17
        dropped(inbox / f"week{week}.npz", pixels, labels)
        loaded = collected(base, inbox)
        assert not list((inbox / "rejected").iterdir())
    assert (loaded.train["label"] == 17).sum() == 0
    assert len(loaded.train) == 600 + 320 - 3


def test_a_row_that_is_there_counts_once_where_a_repair_is_asked_for_too(tmp_path, inbox):
    rules = Rules(repair=("scale",))
    pixels, labels = draw_digits(600, seed=1)
    dropped(tmp_path / "unit.npz", pixels / 255, labels)
    dropped(
        inbox / "more.npz",
        *(
            np.concatenate([ours, new])
            for ours, new in zip(
                (pixels / 255, labels), (draw_digits(50, 6)[0] / 255, draw_digits(50, 6)[1]), strict=True
            )
        ),
    )
    base = formats.load(str(tmp_path / "unit.npz"), None, rules)
    assert len(collected(base, inbox, rules).train) == 650


def test_old_rows_that_new_ones_spoil_are_held_against_the_file(base, inbox):
    pixels, labels = draw_digits(1000, seed=5)
    old = base.train.to_numpy()[:8]
    pixels[:8], labels[:8] = old[:, 1:].reshape(-1, 28, 28), (old[:, 0] + 1) % 10
    dropped(inbox / "spoiling.npz", pixels, labels)
    assert len(collected(base, inbox).train) == 600
    assert "1,000 new rows would have 16 rows set aside" in (inbox / "rejected/spoiling.npz.reason.txt").read_text()


def test_an_inbox_says_what_an_inbox_takes(base, inbox):
    (inbox / "zeros.bin").write_bytes(b"x\0" * 10)
    dropped(inbox / "dark.npz", 255 - draw_digits(100, 5)[0], draw_digits(100, 5)[1])
    collected(base, inbox)
    told = (inbox / "rejected" / "zeros.bin.reason.txt").read_text()
    assert "shards" not in told
    assert "mnist" not in told
    assert "--repair" not in (inbox / "rejected" / "dark.npz.reason.txt").read_text()


def test_a_pipe_and_names_that_no_report_can_hold_hold_up_nothing(base, inbox, quiet):
    os.mkfifo(inbox / "pipe")
    (inbox / os.fsdecode(b"la\xff.csv")).write_text("hello")
    (inbox / ("x" * 250)).write_text("hello")
    dropped(inbox / "good.npz", *draw_digits(50, seed=6))
    assert len(collected(base, inbox).train) == 650
    reasons = {row["file"]: row["reason"] for row in quiet[0]}
    assert reasons["pipe"] == "pipe: neither a file nor a folder"
    assert reasons["la\\xff.csv"] == "la\\xff.csv: a name that isn't UTF-8; another one is needed"
    assert reasons["x" * 250].endswith("can't be moved to rejected/ (File name too long)")


def test_what_may_not_be_moved_stays_and_is_told(base, inbox, monkeypatch, quiet):
    dropped(inbox / "theirs.npz", *draw_digits(50, seed=6))

    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", denied)
        assert len(collected(base, inbox).train) == 600
    assert quiet[0][0]["reason"] == "theirs.npz: can't be moved to rejected/ (Permission denied)"
    assert quiet[0][0]["now"] == "theirs.npz"
    assert not list((inbox / "rejected").iterdir()), "nor is a reason left there"


def test_a_reason_never_replaces_a_file_of_that_name(base, inbox):
    for content, name in (("mine", "x.csv.reason.txt"), ("hello", "x.csv")):
        (inbox / name).write_text(content)
        collected(base, inbox)
    assert (inbox / "rejected" / "x.csv.reason.txt").read_text() == "mine"
    assert (inbox / "rejected" / "x-2.csv").read_text() == "hello"


def test_a_folder_of_pictures_counts_too(base, inbox):
    from PIL import Image

    pixels, labels = draw_digits(20, seed=8)
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        (inbox / "scans" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(inbox / "scans" / str(label) / f"{number}.png")
    assert len(collected(base, inbox).train) == 620


def test_names_do_not_overwrite_each_other(base, inbox):
    for seed in (5, 6):
        dropped(inbox / "new.npz", *draw_digits(50, seed=seed))
        loaded = collected(base, inbox)
    assert len(loaded.train) == 700
    assert sorted(path.name for path in (inbox / "done").iterdir()) == ["new-2.npz", "new.npz"]


def test_a_source_that_is_refused_anyway_leaves_the_inbox_alone(base, inbox):
    dropped(inbox / "more.npz", *draw_digits(100, seed=5))
    other = labelled_frame(*draw_digits(10, 1)).rename(columns={"label": "digit"})
    collected(type(base)("other", other, None), inbox)
    assert [path.name for path in inbox.iterdir()] == ["more.npz"]


@pytest.mark.prefect
def test_a_version_of_an_inbox_is_verified_and_without_anything_new_unchanged(
    prefect_server, tiny_npz, inbox, tmp_path, monkeypatch
):
    from flows.verify_flow import verify_flow

    monkeypatch.undo()
    monkeypatch.setattr(machinery, "SETTLED_SECONDS", -60.0)
    dropped(inbox / "more.npz", *draw_digits(100, seed=5))
    store = str(tmp_path / "store")
    run = {"source": str(tiny_npz), "inbox": inbox, "store": store, "recipe": "plain", "overrides": QUICK}
    assert train_flow(**run).version == 1
    card = Store(tmp_path / "store").card(1)
    assert card["data"]["rows"]["training"] + card["data"]["rows"]["held out"] == 700
    assert '"file": "more.npz"' in newest_artifact("inbox").data
    assert verify_flow(store=store).version == 1
    assert train_flow(**run).unchanged
    dropped(inbox / "again.npz", *draw_digits(50, seed=6))
    assert train_flow(**run).version == 2
