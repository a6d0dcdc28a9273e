"""The inbox: its files' new rows are trained on in every later run."""

import os
import time

import numpy as np
import pytest
from inboxes import CHECKER, merge, process, put, read
from samples import draw_digits

from schemas.errors import InputError
from schemas.pixel_frame import labelled_frame
from schemas.rules import DEFAULT_RULES, Rules
from tasks.inbox import child, folder
from tasks.inbox.folder import Inbox
from tasks.inbox.merger import InboxMerger
from tasks.orchestration import process_inbox
from tasks.sources import datasets
from tasks.validation.check_rows import check_frame

pytestmark = pytest.mark.usefixtures("stable", "tables")


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
