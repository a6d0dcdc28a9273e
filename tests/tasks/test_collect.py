"""The inbox: what is dropped there is trained on, once, or put aside with the reason; a version tells of it."""

import errno
import os
import shutil
import time

import numpy as np
import pytest
from samples import draw_digits, newest_artifact

from artifacts.store import Store
from flows.train_flow import train_flow
from schemas.errors import InputError
from schemas.pixel_frame import labelled_frame
from schemas.recipe import Overrides
from schemas.rules import DEFAULT_RULES
from tasks.collect import collect
from tasks.sources import catalogue
from tasks.sources.inbox import SETTLED_SECONDS, Inbox

QUICK = Overrides(epochs=4, batch_size=32, learning_rate=0.01, validation_fraction=0.1)


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def base(tiny_npz):
    return catalogue.load(str(tiny_npz), None, DEFAULT_RULES)


def dropped(path, pixels, labels):
    """Drop an .npz, as one that was there for a while."""
    np.savez(path, x=pixels, y=labels)
    settle(path)


def settle(path):
    before = time.time() - SETTLED_SECONDS - 1
    for file in [path, *path.rglob("*")]:
        os.utime(file, (before, before))


def collected(base, inbox):
    return collect.fn(base, inbox, DEFAULT_RULES)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Run the step alone, without Prefect round it."""
    import logging

    import tasks.collect

    told = []
    monkeypatch.setattr(tasks.collect, "get_run_logger", lambda: logging.getLogger("collect"))
    monkeypatch.setattr(tasks.collect, "create_table_artifact", lambda table, **_: told.append(table))
    monkeypatch.setattr(tasks.collect.events, "of_refused_data", lambda *_: None)
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


def leaking_that_are_there_already_are_left_out_and_new_ones_beside_them_count(base, inbox):
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
    "contradicting.npz": (wrong_labels, "600 of 600 new rows don't go with what is there (600 contradiction"),
    "tested.npz": (leaking, "(200 leak)"),
    "empty.parquet": (lambda path, _: path.write_bytes(b""), "empty"),
    "link.npz": (lambda path, _: path.symlink_to("/etc/hostname"), "a link; the file itself is needed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_fit_is_put_aside_with_its_reason_and_the_run_goes_on(base, inbox, name, quiet):
    spoil, reason = REFUSED[name]
    spoil(inbox / name, base)
    before = time.time() - SETTLED_SECONDS - 1
    os.utime(inbox / name, (before, before), follow_symlinks=False)
    dropped(inbox / "good.npz", *draw_digits(50, seed=6))
    assert len(collected(base, inbox).train) == 650
    assert reason in (inbox / "rejected" / f"{name}.reason.txt").read_text()
    assert os.path.lexists(inbox / "rejected" / name)
    assert {row["now"] for row in quiet[0]} == {"done/good.npz", f"rejected/{name}"}


def test_a_file_that_may_not_be_read_is_put_aside_and_one_on_a_failing_disk_is_tried_again(base, inbox, monkeypatch):
    from tasks.sources import inbox as machinery

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


def test_shards_have_no_inbox(tmp_path, inbox):
    labelled_frame(*draw_digits(100, 1)).to_parquet(tmp_path / "part-0.parquet", index=False)
    source = catalogue.load(str(tmp_path / "part-*.parquet"), None, DEFAULT_RULES)
    with pytest.raises(InputError, match="an inbox goes with a source that is read whole"):
        collected(source, inbox)


def test_a_file_that_is_still_changing_waits(base, inbox):
    np.savez(inbox / "fresh.npz", x=draw_digits(50, 6)[0], y=draw_digits(50, 6)[1])
    assert len(collected(base, inbox).train) == 600
    assert (inbox / "fresh.npz").exists()


def test_a_folder_of_pictures_counts_too(base, inbox):
    from PIL import Image

    pixels, labels = draw_digits(20, seed=8)
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        (inbox / "scans" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(inbox / "scans" / str(label) / f"{number}.png")
    settle(inbox / "scans")
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
    dropped(inbox / "more.npz", *draw_digits(100, seed=5))
    run = {"source": str(tiny_npz), "inbox": inbox, "store": tmp_path / "store", "recipe": "plain", "overrides": QUICK}
    assert train_flow(**run).version == 1
    card = Store(tmp_path / "store").card(1)
    assert card["data"]["rows"]["training"] + card["data"]["rows"]["held out"] == 700
    assert '"file": "more.npz"' in newest_artifact("inbox").data
    assert verify_flow(store=tmp_path / "store").version == 1
    assert train_flow(**run).unchanged
    dropped(inbox / "again.npz", *draw_digits(50, seed=6))
    assert train_flow(**run).version == 2
