"""Sources: what can be read, what can't, and the fingerprint of what was."""

import numpy as np
import pytest
from samples import draw_digits

from schemas.errors import InputError
from schemas.pixel_frame import labels_of, pixels_of
from tasks.sources import catalogue


def write(path, **arrays):
    whole = {"x_train": np.zeros((2, 28, 28), np.uint8), "y_train": np.zeros(2, np.uint8)}
    whole |= {"x_test": np.zeros((1, 28, 28), np.uint8), "y_test": np.zeros(1, np.uint8)}
    np.savez(path, **{name: array for name, array in (whole | arrays).items() if array is not None})
    return str(path)


def test_reads_an_npz_as_it_is(tiny_npz):
    dataset = catalogue.read(str(tiny_npz))
    pixels, labels = draw_digits(200, seed=2)
    assert dataset.name == "tiny.npz"
    assert (pixels_of(dataset.test) == pixels.reshape(200, 784)).all()
    assert (labels_of(dataset.test) == labels).all()


def test_the_fingerprint_is_that_of_the_rows(tmp_path):
    flat = write(tmp_path / "flat.npz", x_train=np.zeros((2, 784), np.int64))
    square = write(tmp_path / "square.npz")
    assert catalogue.read(flat).fingerprint == catalogue.read(square).fingerprint
    other = write(tmp_path / "other.npz", y_train=np.array([0, 1]))
    assert catalogue.read(other).fingerprint != catalogue.read(square).fingerprint
    part = write(tmp_path / "part.npz", x_train=np.zeros((1, 784), np.uint8), y_train=np.zeros(1, np.uint8))
    assert catalogue.read(part).fingerprint != catalogue.read(square).fingerprint


@pytest.mark.parametrize("source", ["mnits", "", "data", "https://example.org/digits.zip"])
def test_an_unknown_source_is_told_what_is_allowed(source):
    with pytest.raises(InputError, match=r"mnist or the path of an \.npz file is allowed"):
        catalogue.check(source)


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"gone\.npz: no such file"):
        catalogue.check("gone.npz")


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"y_test": None}, "no array y_test"),
        ({"x_train": np.zeros((2, 28, 27), np.uint8)}, r"x_train is \(2, 28, 27\)"),
        ({"y_train": np.zeros(3, np.uint8)}, r"y_train \(3,\)"),
        ({"x_train": np.zeros((2, 28, 28))}, "x_train is float64"),
        ({"x_train": np.full((2, 28, 28), 256)}, "x_train holds 256 to 256"),
        ({"x_test": np.full((1, 28, 28), -1)}, "x_test holds -1 to -1"),
        ({"y_train": np.array([0, 300])}, "y_train holds 0 to 300"),
        ({"x_train": np.array([{}, {}], object)}, "not a readable"),
    ],
)
def test_an_npz_that_does_not_fit_is_refused(tmp_path, arrays, told):
    with pytest.raises(InputError, match=told):
        catalogue.read(write(tmp_path / "bad.npz", **arrays))


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"PK\x03\x04 cut short"])
def test_what_is_no_npz_is_refused(tmp_path, content):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.npz: not a readable"):
        catalogue.read(str(path))


def test_a_truncated_npz_is_refused(tmp_path, tiny_npz):
    path = tmp_path / "cut.npz"
    path.write_bytes(tiny_npz.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"cut\.npz: not a readable"):
        catalogue.read(str(path))


def test_a_damaged_compressed_npz_is_refused(tmp_path, tiny_npz):
    path = tmp_path / "packed.npz"
    with np.load(tiny_npz) as arrays:
        np.savez_compressed(path, **arrays)
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"packed\.npz: not a readable"):
        catalogue.read(str(path))


def test_a_single_array_under_the_name_of_an_npz_is_refused(tmp_path):
    path = tmp_path / "single.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros((2, 28, 28)))
    with pytest.raises(InputError, match=r"single\.npz: not a readable .* \(a single array\)"):
        catalogue.read(str(path))


def test_a_folder_under_the_name_of_a_file_is_refused(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(InputError, match="can't be read"):
        catalogue.check(str(tmp_path / "folder.npz"))
