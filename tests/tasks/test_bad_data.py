# ruff: noqa: E501, tables are read across
"""Bad input of every kind but tables is refused with one line that names the fault and its place."""

import gzip
import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import source_files
from PIL import Image
from refusals import STRICT, TIGHT, refused
from samples import lying_png

from schemas.errors import InputError
from schemas.pixel_frame import PIXEL_COLUMNS, labels_of, pixels_of
from schemas.rules import Rules
from tasks.sources import datasets

# ---------------------------------------------------------------------------------------------------------------- IDX


def images_cut(length):
    return lambda images, labels: (images[:length], labels)


IDX = {
    "images end within the magic number": (images_cut(2), "ends at byte 2, within the header of 16"),
    "images end within the header": (images_cut(10), "ends at byte 10, within the header"),
    "images end after the header": (images_cut(16), r"ends at byte 16; 400 rows need 313,616"),
    "images end within a row": (images_cut(16 + 784 * 3 + 5), "ends at byte 2,373; 400 rows need 313,616"),
    "images end a byte early": (images_cut(-1), "ends at byte 313,615"),
    "images are empty": (images_cut(0), "ends at byte 0"),
    "images go on": (lambda i, j: (i + b"\0", j), r"goes on after byte 313,616, where its 400 rows end"),
    "labels end early": (lambda i, j: (i, j[:-5]), "labels-idx1-ubyte: ends at byte 403; 400 rows need 408"),
    "labels go on": (lambda i, j: (i, j + b"\1"), "goes on after byte 408"),
    "images have the labels' magic number": (
        lambda i, j: (struct.pack(">I", 0x801) + i[4:], j),
        "byte 0: expected the magic number 0x00000803, got 0x00000801",
    ),
    "labels have no magic number": (lambda i, j: (i, b"\0\0\0\0" + j[4:]), "got 0x00000000"),
    "little-endian": (lambda i, j: (struct.pack("<4I", 0x803, 400, 28, 28) + i[16:], j), "got 0x03080000"),
    "27 rows": (lambda i, j: (i[:8] + struct.pack(">I", 27) + i[12:], j), "expected images of 28 × 28, got 27 × 28"),
    "other counts": (
        lambda i, j: (i, struct.pack(">2I", 0x801, 399) + j[8:-1]),
        "399 labels for the 400 images of train-images",
    ),
    "four billion rows announced": (lambda i, j: (i[:4] + b"\xff" * 4 + i[8:], j), "400 labels for the 4,294,967,295 images of train-images"),
    "not gzip after all": (lambda i, j: (b"\x1f\x8b" + i, j), "can't be read"),
    "gzip cut short": (lambda i, j: (gzip.compress(i)[:-20], j), "can't be read"),
    "gzip with a wrong checksum": (lambda i, j: (gzip.compress(i)[:-8] + b"\0" * 8, j), "can't be read .*CRC"),
    "gzip damaged within": (lambda i, j: (gzip.compress(i)[:900] + b"\xff" * 64 + gzip.compress(i)[964:], j), "can't be read|ends at|goes on"),
    "a label of 10": (lambda i, j: (i, j[:8] + b"\x0a" + j[9:]), r"1 label unknown.*train 0: label unknown"),
}  # fmt: skip


@pytest.mark.parametrize("name", IDX)
def test_bad_idx_folder_is_refused(name, digits, tmp_path):
    damage, expected = IDX[name]
    folder = source_files.idx(digits, tmp_path)
    paths = [folder / f"train-{content}-ubyte" for content in ("images-idx3", "labels-idx1")]
    for path, content in zip(paths, damage(*(path.read_bytes() for path in paths)), strict=True):
        path.write_bytes(content)
    refused(folder, expected)


def test_idx_folder_without_labels_is_refused(digits, tmp_path):
    folder = source_files.idx(digits, tmp_path)
    (folder / "train-labels-idx1-ubyte").unlink()
    refused(folder, "no IDX file of the train labels")


def test_idx_folder_with_two_files_of_one_part_is_refused(digits, tmp_path):
    source_files.idx(digits, tmp_path)
    refused(source_files.idx_gz(digits.iloc[::-1], tmp_path), "both are the train images, and differ")


def test_idx_file_linked_from_outside_is_refused(digits, tmp_path):
    folder = source_files.idx(digits, tmp_path)
    (folder / "train-labels-idx1-ubyte").rename(tmp_path / "elsewhere")
    (folder / "train-labels-idx1-ubyte").symlink_to(tmp_path / "elsewhere")
    refused(folder, "train-labels-idx1-ubyte: a link that leads out of")


# ---------------------------------------------------------------------------------------------------------------- npz


def saved(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def whole(frame, **changes):
    arrays = {
        "x_train": pixels_of(frame),
        "y_train": labels_of(frame),
        "x_test": pixels_of(frame),
        "y_test": labels_of(frame),
    }
    return {name: array for name, array in (arrays | changes).items() if array is not None}  # fmt: skip


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_npy", ".npy"), content)
    return buffer.getvalue()


def npy(array, **changes):
    """Return an .npy file whose header says something else."""
    buffer = io.BytesIO()
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape} | changes
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + array.tobytes()


def damaged_deflate(frame):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=pixels_of(frame), y=labels_of(frame))
    content = bytearray(buffer.getvalue())
    content[3000:3100] = b"\xff" * 100
    return bytes(content)


NPZ = {
    "empty": (lambda _: b"", "empty; expected mnist"),
    "cut at its start": (lambda f: saved(**whole(f))[:100], "not a readable .npz file"),
    "cut at its end": (lambda f: saved(**whole(f))[:-10], "not a readable .npz file"),
    "without y_test": (lambda f: saved(**whole(f, x_train=None, y_train=None)), "no arrays x_train, y_train"),
    "without images": (lambda _: saved(names=np.array(["a", "b"])), "no arrays .* found names"),
    "27 columns": (lambda f: saved(**whole(f, x_train=np.zeros((400, 28, 27), np.uint8))), r"x_train is \(400, 28, 27\)"),
    "783 pixels": (lambda f: saved(x=np.zeros((4, 783)), y=np.zeros(4)), r"x is \(4, 783\)"),
    "colour": (lambda f: saved(x=np.zeros((4, 28, 28, 3)), y=np.zeros(4)), r"x is \(4, 28, 28, 3\)"),
    "fewer labels": (lambda f: saved(**whole(f, y_test=np.zeros(3, np.uint8))), "y_test: 3 labels for the 400 images of x_test"),
    "labels that are almost one-hot": (lambda f: saved(**whole(f, y_train=np.eye(400, 10))), "y_train: expected a label in each row, or 10 columns with a single 1"),
    "eleven columns of labels": (lambda f: saved(**whole(f, y_train=np.eye(400, 11))), r"y_train \(400, 11\)"),
    "a pickle": (lambda f: saved(**whole(f, y_train=np.array([{}] * 400, object))), r"expected numbers in y_train.npy, got pickled objects"),
    "only pickles": (lambda _: saved(x=np.array([{}], object)), "pickled objects, which may run code; save arrays of numbers"),
    "words": (lambda f: saved(**whole(f, y_train=np.array(["dog"] * 400))), "y_train: expected a number from 0 to 9 as a label, got 'dog'"),
    "complex numbers": (lambda f: saved(**whole(f, y_train=np.zeros(400, complex))), "got complex128"),
    "a header that promises more": (lambda _: zipped(x_npy=npy(np.zeros((2, 784), np.uint8), shape=(10**12, 784)), y_npy=npy(np.zeros(2, np.uint8))), "its header declares 784,000,000,000,000 bytes"),
    "a header that promises less": (lambda _: zipped(x_npy=npy(np.zeros((2, 784), np.uint8), shape=(1, 784)), y_npy=npy(np.zeros(2, np.uint8))), "its header declares 784 bytes, it has 1,568"),
    "a header that is none": (lambda _: zipped(x_npy=b"\x93NUMPY\x01\x00\x10\x00{'descr': bad}  ", y_npy=b""), "not a readable .npz file"),
    "a format to come": (lambda _: zipped(x_npy=b"\x93NUMPY\x09\x00", y_npy=b""), r"version \(9, 0\) of the .npy format"),
    "a member that is no array": (lambda _: zipped(x_npy=b"hello", y_npy=b""), "not a readable .npz file"),
    "damaged within": (damaged_deflate, "not a readable .npz file"),
    "a bomb": (lambda _: zipped(x_npy=npy(np.zeros((4000, 784), np.uint8)), y_npy=npy(np.zeros(4000, np.uint8))), "2 MiB or more once expanded; --max-expanded-mib allows 1"),
    "no rows": (lambda _: saved(x=np.zeros((0, 784), np.uint8), y=np.zeros(0, np.uint8)), "train part: no rows"),
    "a label of 300": (lambda f: saved(x=pixels_of(f), y=np.where(np.arange(400) == 7, np.int64(300), labels_of(f))), "train 7: label unknown"),
    "values of 300": (lambda f: saved(x=pixels_of(f).astype(int) + 45, y=labels_of(f)), "400 of 400 train rows .*pixel out of range"),
}  # fmt: skip


@pytest.mark.parametrize("name", NPZ)
def test_bad_npz_file_is_refused(name, digits, tmp_path):
    content, expected = NPZ[name]
    (tmp_path / "rows.npz").write_bytes(content(digits))
    refused(tmp_path / "rows.npz", expected, rules=TIGHT if name == "a bomb" else STRICT)


def test_npy_file_of_images_alone_is_refused(tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((3, 784)))
    refused(tmp_path / "rows.npy", r"a file without labels \(\.npy\); expected mnist")


# ----------------------------------------------------------------------------------------------------------- pictures


def broken_png(path):
    content = bytearray(path.read_bytes())
    content[60:70] = b"\xff" * 10
    path.write_bytes(bytes(content))


PICTURES = {
    "words under the name of a picture": (lambda path: path.write_text("hello"), r"0/000000\.png: not a readable PNG, .* or HEIC picture"),
    "an empty picture": (lambda path: path.write_bytes(b""), "not a readable PNG, .* or HEIC picture"),
    "a picture cut short": (lambda path: path.write_bytes(path.read_bytes()[:-40]), "not a readable PNG, .* or HEIC picture"),
    "a damaged picture": (broken_png, "not a readable PNG, .* or HEIC picture"),
    "several pages": (lambda path: Image.new("L", (28, 28)).save(path, "TIFF", save_all=True, append_images=[Image.new("L", (28, 28))]), "0/000000.png: holds 2 pages; save each as a picture"),
    "HEIC without its extra": (lambda path: path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "0/000000.png: a HEIC picture: pillow-heif isn't installed|0/000000.png: not a readable"),
    "a bomb": (lambda path: path.write_bytes(lying_png(40_000)), "not a readable PNG, .* or HEIC picture|40,000 × 40,000 pixels"),
    "a picture too large": (lambda path: Image.new("L", (40, 30)).save(path), "40 × 30 pixels; --max-picture-pixels allows 1,000"),
    "a link that leads outside": (lambda path: (path.rename(path.parents[2] / "a.png"), path.symlink_to(path.parents[2] / "a.png")), "a link that leads out of"),
    "a folder among pictures": (lambda path: (path.unlink(), path.mkdir()), "a folder; expected pictures"),
    "a subfolder that is no label": (lambda path: path.parent.rename(path.parents[1] / "ten"), "ten: not a label; expected subfolders named 0 to 9"),
    "a white picture": (lambda path: Image.new("L", (30, 30), 255).save(path), r"train 0/000000\.png: blank"),
    "the same picture under another label": (lambda path: (path.parents[1] / "1" / "copy.png").write_bytes(path.read_bytes()), r"0/000000\.png: contradiction.*1/copy\.png: contradiction"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Image size")
@pytest.mark.parametrize("name", PICTURES)
def test_bad_folder_of_pictures_is_refused(name, digits, tmp_path):
    folder = source_files.pictures(digits.sort_values("label", kind="stable"), tmp_path)
    PICTURES[name][0](folder / "0" / "000000.png")
    refused(folder, PICTURES[name][1])


def test_subfolder_of_pictures_that_cant_be_read_is_named(digits, tmp_path, monkeypatch):
    folder = source_files.pictures(digits.sort_values("label", kind="stable"), tmp_path)
    iterdir = Path.iterdir

    def refuse(path):
        if path.name == "3":
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InputError, match=r"pictures/3: can't be read \(Permission denied\)"):
        datasets.check_headers(str(folder), rules=STRICT)


def test_picture_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "rows" / "3").mkdir(parents=True)
    (tmp_path / "rows" / "3" / ".DS_Store").write_text("")
    refused(tmp_path / "rows", "no pictures; expected PNG, .* or HEIC in subfolders named 0 to 9")


# ------------------------------------------------------------------------------------------------ whole sources, data

SOURCES = {
    "an unknown name": ("mnits", "no such file or folder; expected mnist, fashion-mnist"),
    "an address": ("nothing://example.org/digits", "nothing://example.org/digits: Protocol not known"),
    "a set of photographs": ("cifar10", "cifar10: photographs in colour"),
    "nothing": ("", "the source is empty"),
    "an address of nothing": ("s3://", "incomplete address; write it like s3://bucket/digits"),
    "an address with a slash too few": ("s3:/bucket/digits", "incomplete address"),
    "a folder without classes": ("folder", "no known format; expected a folder of .*IDX files"),
    "a picture in place of a folder": ("picture.png", r"a file without labels \(picture\)"),
    "an old zip with other things": ("other.zip", "an archive without data"),
    "an empty zip": ("empty.zip", "an archive without data"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_bad_source_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    Image.new("L", (28, 28)).save(tmp_path / "picture.png")
    (tmp_path / "other.zip").write_bytes(zipped(readme="hello"))
    (tmp_path / "empty.zip").write_bytes(zipped())
    source, expected = SOURCES[name]
    refused(source, expected)


def test_error_on_an_unreadable_file_gives_the_reason(tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    path.write_text("label\n")

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match=r"can't be read \(Permission denied\)"):
        datasets.check(str(path))


def as_npz(frame, folder, turn):
    path = folder / "rows.npz"
    np.savez(path, x=turn(pixels_of(frame).reshape(-1, 28, 28)), y=labels_of(frame))
    return path


DATA = {
    "values from 0 to 1": (lambda x: x / 255, "pixels run from 0 to 1; 0 to 255 are needed: --repair scale"),
    "dark ink on a bright background": (lambda x: 255 - x, "ink is dark on a bright background: --repair invert"),
    "values from -1 to 1": (lambda x: x / 127.5 - 1, "pixels run from -1 to 1; .*--repair scale"),
    "values from 0 to 15": (lambda x: x // 17, "pixels run from 0 to 15; .*--repair scale"),
    "values from 0 to 16": (lambda x: np.rint(x / 15.94), "pixels run from 0 to 16; .*--repair scale"),
    "values with MNIST's mean and deviation": (
        lambda x: (x / 255 - 0.1307) / 0.3081,
        "pixels run from -0.42 to 2.82 .*--repair scale",
    ),
    "truth values": (lambda x: x > 127, "pixels run from 0 to 1; .*--repair scale"),
    "a row of another scale": (
        lambda x: np.where(np.arange(400)[:, None, None] == 7, x, x / 255),
        "from 0 to 1 in 399 rows, from 0 to 255 in 1 row; bring all rows to one scale",
    ),
    "half of the rows of another scale": (
        lambda x: np.where(np.arange(400)[:, None, None] < 200, x, x / 255),
        "run from 0 to 1 in 200 rows, from 0 to 255 in 200 rows; bring all rows to one scale",
    ),
    "both, and on its side": (
        lambda x: 1 - np.rot90(x, 1, (1, 2)) / 255,
        "--repair scale.*--repair invert.*--repair rotate270",
    ),
}


@pytest.mark.parametrize("name", DATA)
def test_wrong_scale_polarity_or_orientation_is_refused(name, digits, tmp_path):
    refused(as_npz(digits, tmp_path, DATA[name][0]), DATA[name][1], STRICT)


def test_missing_class_is_refused(digits, tmp_path):
    refused(source_files.csv(digits[digits["label"] != 4], tmp_path), "no training rows of 4; all of 0 to 9 are needed")


def test_too_few_test_rows_are_refused(digits, tmp_path):
    few = source_files.csv(digits.iloc[:50], tmp_path)
    refused("mnist", r"\b50 test rows; --min-test-rows requires 100", Rules(), str(few))


def test_too_many_bad_rows_are_refused(digits, tmp_path):
    bad = digits.astype(float)
    bad.loc[:9, PIXEL_COLUMNS[0]] = np.nan
    path = tmp_path / "rows.csv"
    bad.to_csv(path, index=False)
    refused(
        path, r"10 of 400 train rows had to be quarantined \(10 pixel missing\); --max-quarantined allows 0.01", Rules()
    )
