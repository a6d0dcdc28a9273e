# ruff: noqa: E501, a table is read across
"""Files as people have them: read with the rows that they have, or refused by a sentence that names what they are."""

import gzip
import io
import pickle
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import source_files

from schemas.errors import InputError
from schemas.pixel_frame import labels_of, pixels_of
from schemas.rules import DEFAULT_INPUT_RULES, DEFAULT_RULES
from tasks.sources import datasets, inputs

N_TRAIN = 30


@pytest.fixture(scope="module")
def parts(digits):
    """Return a training and a test part, sorted by label, as pictures are read."""
    train, test = digits.iloc[:N_TRAIN], digits.iloc[N_TRAIN : N_TRAIN + 12]
    return [part.sort_values("label", kind="stable", ignore_index=True) for part in (train, test)]


def load(source, rules=DEFAULT_RULES):
    """Do what a run does: check the source, then its header, then read it."""
    datasets.check(str(source))
    datasets.check_headers(str(source), rules=rules)
    return datasets.load(str(source), None, rules)


def images(frame):
    return pixels_of(frame).reshape(-1, 28, 28)


def npz(**names):
    """Return a writer of an .npz file; a name's value is the part's position and a function of the part."""
    return lambda parts, path: np.savez(
        path / "rows.npz", **{name: of(parts[part]) for name, (part, of) in names.items()}
    )


def pictures(*names):
    """Return a writer of pictures, a folder for each of the parts."""

    def write(parts, path):
        for name, part in zip(names, parts, strict=False):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            source_files.pictures(part, path / "made").rename(path / name)
        (path / "made").rmdir()

    return write


def idx(*names):
    """Return a writer of IDX files: images and labels of the training part, then of the test part."""

    def write(parts, path):
        contents = [content(part) for part in parts for content in (source_files.idx_images, source_files.idx_labels)]
        for number, name in enumerate(names):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            content = contents[number % 4]
            if "idx4" in name:
                content = struct.pack(">5I", 0x804, *images(parts[0]).shape, 1) + content[16:]
            (path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)

    return write


def zipped(**members):
    def write(_parts, path):
        with zipfile.ZipFile(path / "rows.zip", "w") as archive:
            for name, content in members.items():
                archive.writestr(name.replace("__", "/"), content)

    return write


def table(change):
    """Return a writer of a Parquet table."""
    return lambda parts, path: change(parts[0]).to_parquet(path / "rows.parquet")


IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def libsvm(first, last="", moved=slice(0)):
    """Return a writer of libsvm's text whose first pixel has the number `first`; some images are moved by a column."""

    def write(parts, path):
        pixels = pixels_of(parts[0]).copy()
        pixels[moved] = np.roll(pixels[moved], 1, axis=1)
        lines = [
            f"{label} {' '.join(f'{number + first}:{row[number]}' for number in np.flatnonzero(row))}{last}\n"
            for label, row in zip(labels_of(parts[0]), pixels, strict=True)
        ]
        (path / "rows.libsvm").write_text("".join(lines))

    return write


READ = {
    "libsvm, counted from 1": (libsvm(1), 1),
    "libsvm, counted from 0": (libsvm(0), 1),
    "libsvm, with the last number": (libsvm(1, " 784:0"), 1),
    "X and y": (npz(X=(0, pixels_of), y=(0, labels_of)), 1),
    "data and target": (npz(data=(0, pixels_of), target=(0, labels_of)), 1),
    "names of Keras' tutorial": (
        npz(train_images=(0, images), train_labels=(0, labels_of), test_images=(1, images), test_labels=(1, labels_of)),
        2,
    ),
    "capitals": (npz(X_train=(0, images), Y_train=(0, labels_of), X_test=(1, images), Y_test=(1, labels_of)), 2),
    "a validation part": (npz(x_train=(0, images), y_train=(0, labels_of), x_val=(1, images), y_val=(1, labels_of)), 2),
    "a part without a name": (npz(x=(0, images), y=(0, labels_of), x_test=(1, images), y_test=(1, labels_of)), 2),
    "columns of images and labels": (
        npz(
            training_images=(0, lambda f: pixels_of(f)[..., None]),
            training_labels=(0, lambda f: np.eye(10)[labels_of(f)][..., None]),
        ),
        1,
    ),
    "other arrays beside": (npz(x=(0, images), y=(0, labels_of), names=(0, lambda _: np.array(["a"]))), 1),
    "no names": (npz(arr_0=(0, images), arr_1=(0, labels_of)), 1),
    "torchvision's raw folder": (idx(*IDX, *(f"{name}.gz" for name in IDX)), 2),
    "torchvision's root": (idx(*(f"MNIST/raw/{name}" for name in IDX)), 2),
    "prefixes": (idx(*(f"emnist-digits-{name}.gz" for name in IDX)), 2),
    "files of a Mac": (idx(*IDX, "__MACOSX/._train-images-idx3-ubyte"), 2),
    "training and testing": (pictures("training", "testing"), 2),
    "Train and Test": (pictures("Train", "Test"), 2),
    "train and val": (pictures("train", "val"), 2),
    "an outer folder": (pictures("mnist_png/train", "mnist_png/test"), 2),
    "a folder in a part": (pictures("trainingSet/trainingSet"), 1),
    "big-endian numbers": (
        npz(x=(0, lambda f: images(f).astype(">f4")), y=(0, lambda f: labels_of(f).astype(">i8"))),
        1,
    ),
    "columns first in memory": (npz(x=(0, lambda f: np.asfortranarray(images(f))), y=(0, labels_of)), 1),
    "images of four dimensions": (idx("train-images-idx4-ubyte", "train-labels-idx1-ubyte"), 1),
    "a copy in a folder of its name": (
        idx(*(name.replace("-idx", ".idx") for name in IDX), *(f"{name}/{name}" for name in IDX)),
        2,
    ),
    "Parquet with an id": (table(lambda f: f.rename_axis("id").reset_index()), 1),
    "Parquet with an index of a name": (table(lambda f: f.rename_axis("row")), 1),
    "Parquet with sorted columns": (table(lambda f: f[sorted(f.columns)]), 1),
    "Parquet of floats": (table(lambda f: f.astype(float)), 1),
}


@pytest.mark.parametrize("name", READ)
def test_files_as_people_have_them_are_read(name, parts, tmp_path):
    write, n_parts = READ[name]
    write(parts, tmp_path)
    loaded = load(next(tmp_path.glob("rows.*"), tmp_path))
    for frame, expected in zip((loaded.train, loaded.test), [*parts[:n_parts], None][:2], strict=True):
        assert (frame is None) == (expected is None)
        assert frame is None or (frame.to_numpy() == expected.to_numpy()).all()


def test_arrays_and_pictures_that_are_not_read_are_reported(parts, tmp_path):
    pictures("train", "valid", "test")([*parts, parts[1]], tmp_path / "pictures")
    (tmp_path / "pictures" / "train" / "3" / "Thumbs.db").write_bytes(b"\xd0")
    (tmp_path / "pictures" / "train" / "README.md").write_text("Digits")
    npz(x=(0, images), y=(0, labels_of), names=(0, lambda _: np.array(["a"])))(parts, tmp_path)
    assert load(tmp_path / "pictures").notes == (
        "the validation part (12 rows) isn't read",
        "2 files left out (no pictures): train/3/Thumbs.db, train/README.md",
    )
    assert load(tmp_path / "rows.npz").notes == ("1 array left out (no images or labels): names",)


def content(data, name="rows.csv"):
    return lambda _, path: (path / name).write_bytes(data)


def tar(member, name="rows.csv", data=b"1,2"):
    """Return a writer of a tar archive with one member."""

    def write(_parts, path):
        info = tarfile.TarInfo(name)
        info.type, info.size, info.linkname = member, len(data), "/etc/passwd"
        with tarfile.open(path / "rows.tar.gz", "w:gz") as archive:
            archive.addfile(info, io.BytesIO(data))

    return write


def zip_member(mode=0, flags=0):
    """Return a writer of a ZIP archive whose one member has this mode and these flags."""

    def write(_parts, path):
        info = zipfile.ZipInfo("rows.csv")
        info.external_attr = mode << 16
        with zipfile.ZipFile(path / "rows.zip", "w") as archive:
            archive.writestr(info, b"1,2")
            info.flag_bits |= flags

    return write


def bomb(_parts, path):
    with (
        zipfile.ZipFile(path / "rows.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("rows.csv", "w") as file,
    ):
        for _ in range(5):
            file.write(bytes(1 << 20))


def outside(kind):
    """Return a writer of an HDF5 file whose images are the bytes of another file."""

    def write(parts, path):
        other = path.parent / f"{path.name}-other"
        other.write_bytes(images(parts[0]).tobytes())
        shape = (N_TRAIN, 28, 28)
        with h5py.File(path / "rows.h5", "w") as file:
            file["y"] = labels_of(parts[0])
            if kind == "external":
                file.create_dataset("x", shape, np.uint8, external=[(str(other), 0, N_TRAIN * 784)])
            elif kind == "virtual":
                layout = h5py.VirtualLayout(shape, np.uint8)
                layout[:] = h5py.VirtualSource(str(other), "x", shape)
                file.create_virtual_dataset("x", layout)
            else:
                file["x"] = h5py.ExternalLink(str(other), "x")

    return write


def misnamed(parts, path):
    for folder in source_files.pictures(parts[0], path).iterdir():
        folder.rename(folder.with_name(f"digit_{folder.name}"))


def unlabelled(parts, path):
    (path / "pictures").mkdir()
    for number, image in enumerate(pixels_of(parts[0])):
        (path / "pictures" / f"{number}.png").write_bytes(source_files.png(image))


def listed_in_a_table(parts, path):
    unlabelled(parts, path)
    lines = [f"pictures/{number}.png,{label}\n" for number, label in enumerate(labels_of(parts[0]))]
    (path / "pictures" / "labels.csv").write_text("".join(["filename,label\n", *lines]))


REFUSED = {
    "pictures and a table of them": (listed_in_a_table, r"pictures: put the pictures into subfolders named 0 to 9; .*, and no table has pixels \(.*labels.csv: "),
    "libsvm with 785 numbers": (libsvm(0, " 0:0 784:0"), "has the numbers 0 and 784; expected 784 pixels|Feature indices"),
    "libsvm that isn't centred": (libsvm(0, moved=slice(None, None, 2)), "can't tell whether pixels are counted from 0 or 1; add 0:0 or 784:0"),
    "HDF5 of another file's bytes": (outside("external"), "x is stored in other files; copy the arrays"),
    "HDF5 of another file's rows": (outside("virtual"), "x is stored in other files; copy the arrays"),
    "HDF5 with a link to another file": (outside("link"), "no arrays x_train, y_train, x_test, y_test, or x, y; found y"),
    "a login page": (content(b"\n<!DOCTYPE html><html>"), "rows.csv: an HTML page; log in"),
    "a Git LFS pointer": (content(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d"), "a Git LFS pointer; .*git lfs pull"),
    "JSON lines": (content(b'{"label": 5, "pixels": [0, 1]}\n'), "JSON lines or a JSON object; convert it to CSV"),
    "JSON": (content(b'[{"label": 5}]'), "JSON; convert it to CSV"),
    "a pickle": (content(pickle.dumps([1]), "a.pkl"), "a.pkl: a pickle, which may run code; save its arrays with numpy.savez"),
    "a gzipped pickle": (content(gzip.compress(pickle.dumps([1])), "a.pkl.gz"), "a pickle, which may run code"),
    "a file of PyTorch": (zipped(**{"digits/data.pkl": b""}), "a file of PyTorch, a pickle"),
    "Excel": (zipped(**{"[Content_Types].xml": b"", "xl/workbook.xml": b""}), "an Excel file; save the table as CSV"),
    "Word": (zipped(**{"[Content_Types].xml": b"", "word/document.xml": b""}), "a Word file"),
    "old Excel": (content(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "an Excel or Word file of before 2007"),
    "a PGM picture": (content(b"P5\n28 28\n255\n" + bytes(784), "3.pgm"), "a PBM, PGM or PPM picture; save it as PNG"),
    "a PDF": (content(b"%PDF-1.7"), "a PDF; save its pictures as PNG"),
    "zero bytes": (content(bytes(2000)), "nothing but zero bytes; download or copy it again"),
    "nothing": (content(b""), "rows.csv: empty; expected"),
    "RAR": (content(b"Rar!\x1a\x07\x00"), "a RAR archive; unpack it"),
    "pickled arrays": (lambda _, path: np.savez(path / "rows.npz", data={"x": 1}), "pickled objects, which may run code"),
    "pickled labels": (npz(x=(0, images), y=(0, lambda f: labels_of(f).astype(object))), "expected numbers in y.npy, got pickled objects, which may run code"),
    "a column of dates": (table(lambda f: f.assign(date=pd.Timestamp("2026-01-05"))), "column date: expected numbers, got timestamp"),
    "a column of words": (table(lambda f: f.assign(split="train")), "column split: expected numbers, got"),
    "a test part alone": (lambda parts, path: idx(*IDX[2:])(parts[::-1], path / "idx"), "no IDX file of the train images and the train labels"),
    "a folder that is no label": (lambda parts, path: (source_files.pictures(parts[0], path) / "unknown").mkdir(), "unknown: not a label; expected subfolders named 0 to 9"),
    "images alone": (lambda parts, path: np.save(path / "x.npy", images(parts[0])), r"a file without labels \(\.npy\)"),
    "colour": (npz(x=(0, lambda f: np.repeat(images(f)[..., None], 3, 3)), y=(0, labels_of)), r"x is \(30, 28, 28, 3\)"),
    "a column of images alone": (lambda parts, path: pq.write_table(pa.table({"image": list(pixels_of(parts[0]))}), path / "a.parquet"), "no column of labels; label is needed"),
    "uneven lists": (lambda _, path: pq.write_table(pa.table({"image": [[0] * 783, [0] * 785], "label": [1, 2]}), path / "a.parquet"), "column image: expected lists of 784 numbers"),
    "pictures elsewhere": (lambda _, path: pq.write_table(pa.table({"image": [{"bytes": None, "path": "1.png"}], "label": [1]}, pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())])), path / "a.parquet"), "column image: row 0 has no image"),
    "a word for a label": (lambda parts, path: pq.write_table(pa.table({"image": list(pixels_of(parts[0])), "label": ["dog"] * N_TRAIN}), path / "a.parquet"), "column label: expected a number from 0 to 9 as a label, got 'dog'"),
    "an ARFF without data": (content(b"@relation digits\n@attribute a real\n"), "no @DATA after the header of an ARFF file|'a' in place of"),
    "a link in an archive": (tar(tarfile.SYMTYPE), "rows.csv is a link or a device"),
    "a link in a ZIP archive": (zip_member(mode=stat.S_IFLNK | 0o777), "rows.csv is a link; files are needed"),
    "an encrypted member": (zip_member(flags=1), "rows.csv is encrypted; unpack it"),
    "a path out of an archive": (tar(tarfile.REGTYPE, "../../rows.csv"), r"\.\./\.\./rows.csv leads out of the archive"),
    "an absolute path in an archive": (zipped(**{"/etc/rows.csv": b"1"}), "/etc/rows.csv leads out of the archive"),
    "an archive in an archive": (tar(tarfile.REGTYPE, "rows.zip", b"PK\x05\x06" + bytes(18)), "an archive within an archive"),
    "a damaged archive": (content(b"PK\x03\x04" + bytes(60), "rows.zip"), "not a readable archive"),
    "an archive with a damaged directory": (content(struct.pack("<4s42x4s4H2LH", b"PK\x03\x04", b"PK\x05\x06", 0, 0, 1, 1, 46, 0, 0), "rows.zip"), "not a readable archive"),
    "a page in an archive": (zipped(**{"train.csv": b"<html>"}), "rows.zip/train.csv: an HTML page"),
    "pictures in folders of other names": (misnamed, "pictures in subfolders digit_0, digit_1, digit_2, …; name them 0 to 9"),
    "pictures without labels": (unlabelled, "pictures without labels; put them into subfolders named 0 to 9"),
    "a bomb": (bomb, "4 MiB or more once expanded; --max-expanded-mib allows 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_by_its_name(name, parts, tmp_path):
    write, expected = REFUSED[name]
    write(parts, tmp_path)
    (path,) = tmp_path.iterdir()
    rules = DEFAULT_RULES.model_copy(update={"max_expanded_mib": 3})
    with pytest.raises(InputError, match=expected) as error:
        load(path, rules)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    assert not list(Path(tmp_path).glob("unpacked-*"))


def test_an_archive_may_be_in_a_folder_of_any_name(parts, tmp_path):
    (tmp_path / "unpacked-digits").mkdir()
    source = source_files.zipped_csv(parts[0], tmp_path / "unpacked-digits")
    assert len(load(source).train) == N_TRAIN


def test_notes_on_shards_in_an_archive_are_kept(parts, tmp_path):
    rows = parts[0].to_csv(index=False).replace(",", ";")
    zipped(**{"a.csv": rows, "b.csv": rows})(parts, tmp_path)
    loaded = load(tmp_path / "rows.zip")
    assert len(loaded.train) == 2 * N_TRAIN
    assert sum("separator: semicolon" in note for note in loaded.notes) == 2


def test_a_bomb_to_predict_on_is_refused_before_it_is_unpacked(parts, tmp_path):
    bomb(parts, tmp_path)
    rules = DEFAULT_INPUT_RULES.model_copy(update={"max_expanded_mib": 3})
    with pytest.raises(InputError, match="4 MiB or more once expanded; --max-expanded-mib allows 3"):
        next(inputs.batches(str(tmp_path / "rows.zip"), rules, 1))


def test_pictures_in_an_archive_are_predicted_on(parts, tmp_path):
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as archive:
        for number, image in enumerate(pixels_of(parts[0])):
            archive.writestr(f"scans/{number:02}.png", source_files.png(image))
    [frame] = inputs.batches(str(tmp_path / "scans.zip"), DEFAULT_INPUT_RULES, 64)
    assert (frame.to_numpy() == pixels_of(parts[0])).all()
    assert frame.index[0] == "00.png"
