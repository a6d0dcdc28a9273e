"""Corrections: what people answered on images changes training rows, adds images, and spares test rows."""

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from samples import draw_digits, lying_png

from artifacts.store import review, version_files
from artifacts.store.store import Store
from schemas.errors import InputError
from schemas.prediction import Predictor
from schemas.results import InboxFile
from schemas.review import COLUMNS, item_of
from schemas.rules import DEFAULT_RULES, Rules
from tasks.inbox import corrections
from tasks.inbox.child import read as read_inbox_file
from tasks.inbox.merger import InboxMerger, with_files
from tasks.reviewing import entries
from tasks.sources import datasets
from tasks.validation import inspection, profiles, row_faults
from tasks.validation.check_rows import check_frame
from tasks.validation.labels import LabelChecker

REFERENCE = profiles.load_embedded()


@pytest.fixture
def base(tiny_npz):
    return datasets.load(str(tiny_npz), None, DEFAULT_RULES)


@pytest.fixture
def new_image():
    """Return the pixels of an image that isn't in the source; a 4."""
    return draw_digits(10, seed=77)[0][4]


def item(pixels) -> str:
    return item_of(int(row_faults.digests(np.asarray(pixels, np.uint8).reshape(1, -1))[0, 0]))


def train_item(base, row: int) -> str:
    return item(base.train.iloc[row, 1:])


def write_csv(path: Path, rows: dict[str, str], seconds: int = 0) -> Path:
    path.write_text("item,label\n" + "".join(f"{name},{label}\n" for name, label in rows.items()))
    os.utime(path, (seconds, seconds))
    return path


def inspect(base, *paths: Path, rules=DEFAULT_RULES, store=None):
    """Validate the source with files of corrections; return the outcomes by item, and the dataset."""
    found = [corrections.read(path) for path in paths]
    files = [InboxFile(path, is_accepted=True, corrections=each) for path, each in zip(paths, found, strict=True)]
    completed = [file.corrections for file in (review.complete(store, files) if store else files)]
    validation, dataset = inspection.inspect(
        with_files(base, [], rules, tuple(one for each in completed for one in each)), rules, REFERENCE
    )
    return [(one.item, one.label, one.outcome) for one in validation.corrections], dataset


def test_training_rows_get_the_label_or_are_left_out(base, tmp_path):
    items = [train_item(base, row) for row in range(3)]
    path = write_csv(tmp_path / "a.csv", {items[0]: "7", items[1]: "1", items[2]: "none"})
    outcomes, dataset = inspect(base, path)
    assert outcomes == [(items[0], 7, "relabelled"), (items[1], 1, "confirmed"), (items[2], None, "left out")]
    assert dataset.train.labels[:3].tolist() == [7, 1, 3]
    assert len(dataset.train) == 599
    assert dataset.fingerprint != inspect(base)[1].fingerprint


def test_withdrawn_corrections_are_undone(base, tmp_path):
    path = write_csv(tmp_path / "a.csv", {train_item(base, 0): "7"})
    before, after = inspect(base, path)[1], inspect(base)[1]
    assert (before.train.labels[0], after.train.labels[0]) == (7, 0)


def test_the_newest_correction_wins_and_the_other_is_named(base, tmp_path):
    name = train_item(base, 0)
    old, new = (
        write_csv(tmp_path / file, {name: label}, at) for file, label, at in (("z.csv", "7", 1), ("a.csv", "8", 2))
    )
    outcomes, dataset = inspect(base, new, old)
    assert outcomes == [(name, 7, "replaced by a newer one"), (name, 8, "relabelled")]
    assert dataset.train.labels[0] == 8


def test_test_rows_change_only_if_asked_by_name(base, tmp_path):
    name = item(base.test.iloc[0, 1:])
    path = write_csv(tmp_path / "a.csv", {name: "7"})
    outcomes, dataset = inspect(base, path)
    assert (outcomes, dataset.test.labels[0]) == ([(name, 7, "test rows, unchanged")], 0)
    outcomes, dataset = inspect(base, path, rules=Rules(correct_test_labels=True))
    assert (outcomes, dataset.test.labels[0]) == ([(name, 7, "relabelled")], 7)


def queue(store: Store, *images) -> None:
    """Add predicted images to the review queue of a store."""
    rows = [(item(image), "abstained", 0.5, "", "x.png", -1, 9, "", image.tobytes()) for image in images]
    review.add(store, pd.DataFrame(rows, columns=[*COLUMNS]))


def test_a_predicted_image_is_added_with_its_label(base, new_image, tmp_path):
    store = Store(tmp_path / "store")
    queue(store, new_image)
    outcomes, dataset = inspect(base, write_csv(tmp_path / "a.csv", {item(new_image): "4"}), store=store)
    assert outcomes == [(item(new_image), 4, "added")]
    assert (len(dataset.train), dataset.train.labels[-1]) == (601, 4)
    assert (dataset.train.read(slice(600, 601)) == new_image.reshape(1, -1)).all()
    assert dataset.read_items("train", np.array([600])) == [f"corrections:{item(new_image)}"]


def test_an_added_image_stays_after_an_audit(base, new_image, tmp_path):
    store, path = Store(tmp_path / "store"), write_csv(tmp_path / "a.csv", {item(new_image): "4"})
    queue(store, new_image)
    _, before = inspect(base, path, store=store)
    contradicts = Predictor(1, 0.5, REFERENCE, lambda pixels: np.eye(10, dtype=np.float32)[[9] * len(pixels)])
    suspects = pd.DataFrame(
        [("train", 600, "600", 4, 9, "label", 1.0, "", False)],
        columns=["part", "row", "item", "label", "proposed", "kind", "score", "reason", "confident"],
    )
    parts = {"train": before.train}
    audited = entries.of_audit(suspects, before, parts), entries.of_version(before, parts, contradicts)
    assert all(item(new_image) in set(found["item"]) for found in audited)
    for found in audited:
        review.add(store, found)
    assert inspect(base, path, store=store)[1].fingerprint == before.fingerprint


def test_added_images_are_never_split_off_as_test_rows(base, tmp_path):
    store, images = Store(tmp_path / "store"), draw_digits(40, seed=77)[0]
    queue(store, *images)
    path = write_csv(tmp_path / "a.csv", {item(image): str(n % 10) for n, image in enumerate(images)})
    rules = Rules(min_test_rows=50)
    source = dataclasses.replace(base, test=None)
    n_test = len(inspect(source, rules=rules)[1].test)
    _, dataset = inspect(source, path, rules=rules, store=store)
    assert (len(dataset.train), len(dataset.test)) == (640 - n_test, n_test)


def test_an_image_of_other_data_is_not_added(base, new_image, tmp_path):
    path = write_csv(tmp_path / "a.csv", {item(new_image): "4"})
    outcomes, dataset = inspect(base, path)
    assert (outcomes, len(dataset.train)) == ([(item(new_image), 4, "not in this data")], 600)


@pytest.fixture
def folder(tmp_path, new_image):
    """Return a folder as `review` writes it, in which one picture was moved."""
    (tmp_path / "review" / "4").mkdir(parents=True)
    (tmp_path / "review" / "none").mkdir()
    picture = Image.fromarray(new_image.repeat(8, axis=0).repeat(8, axis=1))
    picture.save(tmp_path / "review" / "4" / f"0001-predicted9-{item(new_image)} (1).png")
    picture.save(tmp_path / "review" / f"0002-predicted3-{item(new_image)}.png")
    write_csv(tmp_path / "review" / "review.csv", {item(new_image): ""})
    return tmp_path / "review"


def test_a_picture_that_was_moved_is_a_correction(base, folder, new_image):
    outcomes, dataset = inspect(base, folder)
    assert outcomes == [(item(new_image), 4, "added")]
    assert len(dataset.train) == 601
    assert corrections.read(folder)[0].by == Path(folder).owner()


def test_a_csv_of_a_spreadsheet_names_who_wrote_it(base, tmp_path):
    lines = f"item;label;by\r\n{train_item(base, 0)};7.0;Ada\r\n{train_item(base, 1)};;\r\n"
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    assert [(one.label, one.by) for one in corrections.read(tmp_path / "a.csv")] == [(7, "Ada")]


IMAGE = "image-" + "0" * 16
FAULTS = {
    "another label": (f"{IMAGE},seven", 'line 2, column label: expected a digit, or none, got "seven"'),
    "another item": (
        "scan.png,7",
        'line 2, column item: expected image-…, as in the file that `review` wrote, got "scan',
    ),
    "two labels": (f"{IMAGE},7\n{IMAGE},8", f"{IMAGE} has two labels, 7 and 8; one is needed"),
    "no labels": (f"{IMAGE},", "all labels are empty"),
    "a stray quote": (f'{IMAGE},8,"open\n{IMAGE},7', "line 2: can't be read (unexpected end of data); remove a quote"),
    "two stray quotes": (f'{IMAGE},8,"open\n{IMAGE},7,"', "line 2: can't be read (unexpected end of data)"),
    "a quoted row": (f'"{IMAGE},7', "line 2: can't be read"),
    "a huge field": (f"{IMAGE},7,{'x' * 131_073}", "line 2: can't be read (field larger than field limit"),
}


@pytest.mark.parametrize(("lines", "message"), FAULTS.values(), ids=FAULTS)
def test_what_cannot_be_understood_is_rejected(lines, message, tmp_path):
    (tmp_path / "a.csv").write_text(f"item,label\n{lines}\n")
    file, _ = read_inbox_file(tmp_path / "a.csv", DEFAULT_RULES, is_accepted=False)
    assert message in file.fault


def test_a_picture_that_was_edited_is_rejected(folder):
    path = next((folder / "4").iterdir())
    Image.fromarray(np.zeros((224, 224), np.uint8)).save(path)
    with pytest.raises(InputError, match="was changed: its pixels are those of image-"):
        corrections.read(folder)


def test_what_is_no_picture_of_the_queue_is_named(folder):
    (folder / "4" / "mine.png").write_bytes(next((folder / "4").iterdir()).read_bytes())
    with pytest.raises(InputError, match=r"^review/4/mine\.png: expected a name with image-…; give it the name back"):
        corrections.read(folder)


@pytest.mark.parametrize("content", [b"no picture", lying_png(60_000)], ids=["no picture", "of 3.6 billion pixels"])
def test_what_pillow_refuses_is_rejected_by_name(content, folder):
    next((folder / "4").iterdir()).write_bytes(content)
    with pytest.raises(InputError, match=r"^review/4/0001-predicted9-image-.*: was changed: it isn't the picture"):
        corrections.read(folder)


def test_pictures_of_other_names_alone_are_new_data(folder):
    (folder / "review.csv").unlink()
    next((folder / "4").iterdir()).rename(folder / "4" / "mine.png")
    assert not corrections.is_corrections(folder)


def test_a_correction_of_an_unknown_image_is_rejected(base, tmp_path):
    found = corrections.read(write_csv(tmp_path / "a.csv", {IMAGE: "7"}))
    merger = InboxMerger(base, {"train": check_frame(base.train, ())}, DEFAULT_RULES, LabelChecker(REFERENCE))
    with pytest.raises(InputError, match=rf"a\.csv: {IMAGE} is neither in tiny\.npz nor in the review queue"):
        merger.check(InboxFile(tmp_path / "a.csv", is_accepted=False, corrections=found))


def test_a_version_keeps_the_corrections_of_its_data(base, folder, tmp_path):
    validation, dataset = inspection.inspect(
        with_files(base, [], DEFAULT_RULES, corrections.read(folder)), DEFAULT_RULES, REFERENCE
    )
    shutil.rmtree(folder)
    (tmp_path / "version").mkdir()
    version_files.write_corrections(tmp_path / "version", validation.corrections)
    kept = version_files.read_corrections(tmp_path / "version")
    assert (
        inspection.inspect(with_files(base, [], DEFAULT_RULES, kept), DEFAULT_RULES, REFERENCE)[1].fingerprint
        == dataset.fingerprint
    )
