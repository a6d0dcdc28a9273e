"""The embedded MNIST: the bytes that LeCun, Cortes and Burges published."""

import hashlib
import re
import struct

import numpy as np
import pytest
from samples import ROOT

from schemas.errors import InputError
from schemas.pixel_frame import LABELLED, labels_of, pixels_of, validate
from schemas.rules import DEFAULT_RULES
from tasks.sources import mnist, npz


@pytest.fixture(scope="module")
def parts():
    return dict(zip(("train", "t10k"), npz.read(mnist.PATH, DEFAULT_RULES)[:2], strict=True))


def published_sums() -> dict[str, str]:
    """Read the MD5 sums of the original files from the data's own README."""
    return dict(re.findall(r"\| (\S+-ubyte) \| ([0-9a-f]{32}) \|", (ROOT / "data" / "README.md").read_text()))


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_mnist_rebuilds_the_original_idx_files(parts, part):
    frame = parts[part]
    images = struct.pack(">4i", 0x803, len(frame), 28, 28) + np.ascontiguousarray(pixels_of(frame)).tobytes()
    labels = struct.pack(">2i", 0x801, len(frame)) + labels_of(frame).tobytes()
    sums = published_sums()
    assert hashlib.md5(images).hexdigest() == sums[f"{part}-images-idx3-ubyte"]  # noqa: S324, as it was published
    assert hashlib.md5(labels).hexdigest() == sums[f"{part}-labels-idx1-ubyte"]  # noqa: S324


def test_both_parts_of_mnist_are_valid_pixel_frames(parts):
    assert [len(frame) for frame in parts.values()] == [60_000, 10_000]
    for frame in parts.values():
        validate(LABELLED, frame, "mnist")


def test_a_flipped_byte_in_mnist_is_refused(monkeypatch, tmp_path):
    damaged = bytearray(mnist.PATH.read_bytes())
    damaged[5_000_000] ^= 1
    path = tmp_path / "mnist.npz"
    path.write_bytes(damaged)
    monkeypatch.setattr(mnist, "PATH", path)
    with pytest.raises(InputError, match="damaged, expected the SHA-256"):
        mnist.check()


def test_a_missing_mnist_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(mnist, "PATH", tmp_path / "mnist.npz")
    with pytest.raises(InputError, match=r"mnist\.npz: no such file"):
        mnist.check()
