# ruff: noqa: E501, a table is read across
"""A header that declares more than its file holds is refused with one line, before memory is allocated for it."""

import gzip
import io
import os
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
from samples import draw_digits, lying_png

from schemas.errors import InputError
from schemas.rules import DEFAULT_INPUT_RULES, DEFAULT_RULES
from tasks.sources import datasets, inputs, shards

ROWS = 12_345
MAX_PEAK = 24 << 20
"""Bytes that may be allocated: pieces of a file are read at a time. The headers declare hundreds of times as much."""


def npy(n_declared, content=b"", dtype="|u1", image=(28, 28), **changes):
    buffer = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": (n_declared, *image)} | changes
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + content


def npz(path, method=zipfile.ZIP_DEFLATED, sizes=None, **members):
    """Write members; then change the sizes that the archive's directory declares, if `sizes` gives others."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
        for member in archive.filelist if sizes else ():
            member.file_size, member.compress_size = sizes


def deep_header(path):
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': " + b"-" * 9000 + b"1, }\n"
    npz(path, x=b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)


def tokens_header(path):
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 28, 28L)\n"
    npz(path, x=b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)


def idx(path, n_declared, n_labels=None, pack=bytes):
    path.mkdir()
    labels = n_declared if n_labels is None else n_labels
    (path / "train-images-idx3-ubyte").write_bytes(pack(struct.pack(">4I", 0x803, n_declared, 28, 28) + bytes(7840)))
    (path / "train-labels-idx1-ubyte").write_bytes(pack(struct.pack(">2I", 0x801, labels) + bytes(10)))


def varint(number):
    """Return the form in which a Parquet footer has a positive number."""
    number, content = number * 2, b""
    while number > 127:
        content, number = content + bytes([number & 127 | 128]), number >> 7
    return content + bytes([number])


def parquet(path, n_declared):
    """Write 12,345 rows, and a footer that declares others."""
    pixels = np.zeros((785, ROWS), np.uint8)
    buffer = io.BytesIO()
    pq.write_table(pa.table(list(pixels), ["label", *(f"pixel{number}" for number in range(784))]), buffer)
    content = buffer.getvalue()
    size = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - size : -8].replace(varint(ROWS), varint(n_declared))
    path.write_bytes(content[: -8 - size] + footer + struct.pack("<I", len(footer)) + b"PAR1")


def mat(path, content):
    scipy.io.savemat(path, content | {"y": np.zeros(9)}, appendmat=False, do_compression=True)


@pytest.mark.parametrize(
    "content", [{"x": np.zeros((1 << 15, 784), np.uint8)}, {"s": {"x": np.zeros((1 << 15, 784), np.uint8)}}]
)
def test_mat_file_that_expands_is_refused_before_it_is_loaded(content, tmp_path):
    mat(tmp_path / "a.mat", content)
    rules = DEFAULT_RULES.model_copy(update={"max_expanded_mib": 8})
    for read in (datasets.check_headers, lambda source, rules: next(inputs.batches(source, rules, 9))):
        tracemalloc.start()
        with pytest.raises(InputError, match="once expanded; --max-expanded-mib allows 8"):
            read(str(tmp_path / "a.mat"), rules=rules)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MAX_PEAK


LIES = {
    "npz: more rows than bytes": (lambda path: npz(path, x=npy(10**12)), "its header declares 784,000,000,000,000 bytes, it has 0"),
    "npz: a header of four billion bytes": (lambda path: npz(path, x=b"\x93NUMPY\x02\x00" + b"\xff" * 4 + bytes(1 << 26)), "not a readable .npz file"),
    "npz: a header of many signs": (deep_header, "not a readable .npz file"),
    "npz: a header that doesn't end": (tokens_header, "not a readable .npz file"),
    "npz: a negative number of rows": (lambda path: npz(path, x=npy(-1)), "its header declares -784 bytes, it has 0"),
    "npz: a member larger than it can be": (lambda path: npz(path, sizes=(1 << 31, 1 << 30), x=npy(0)), "x.npy: 2,147,483,648 bytes declared, more than the file can hold"),
    "npz: LZMA, whose header declares memory": (lambda path: npz(path, zipfile.ZIP_LZMA, x=npy(0)), "another method than deflate"),
    "npz: columns that expand": (lambda path: npz(path, x=npy(700_000, bytes(784 * 700_000), fortran_order=True)), "x is stored column by column and takes 523 MiB"),
    "IDX: more rows than bytes": (lambda path: idx(path, 2**32 - 1), "ends at byte 7,856; 4,294,967,295 rows need|--max-expanded-mib"),
    "IDX: gzipped": (lambda path: idx(path, 5_000_000, pack=gzip.compress), "ends at byte 7,856; 5,000,000 rows need"),
    "IDX: more labels than images": (lambda path: idx(path, 10, 2**32 - 1), r"labels for the 10 images|--max-expanded-mib|ends at byte 18"),
    "Parquet: a hundred times its rows": (lambda path: parquet(path, 1_234_500), "ends after 12,345 rows; its footer declares 1,234,500"),
    "Parquet: more rows than it can hold": (lambda path: parquet(path, 10**12), "declares 1,000,000,000,000 rows, more than|--max-expanded-mib"),
    "PNG: 7,000 × 7,000 pixels": (lambda path: path.write_bytes(lying_png(7000)), "its header declares 49,000,000 pixels, more than 69 bytes can hold"),
}  # fmt: skip


def predict(source):
    return [len(frame) for frame in inputs.batches(str(source), DEFAULT_INPUT_RULES, 256)]


def train(source):
    return datasets.load(str(source), None, DEFAULT_RULES)


@pytest.mark.parametrize("name", LIES)
def test_lying_header_is_refused_before_memory_is_allocated(name, tmp_path):
    write, expected = LIES[name]
    write(tmp_path / "file")
    for read in (predict, train):
        tracemalloc.start()
        with pytest.raises(InputError, match=expected if read is predict else None) as error:
            read(tmp_path / "file")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert "\n" not in str(error.value)
        assert peak < MAX_PEAK


def test_shard_that_declares_more_rows_than_it_can_hold_is_a_bad_one(tmp_path):
    parquet(tmp_path / "0.parquet", 10**12)
    (shard,) = shards.list_shards(str(tmp_path)).shards
    assert re.search("declares 1,000,000,000,000 rows, more than", shard.fault)
    assert shard.n_rows is None


LABELS = {
    "npz": lambda path: np.savez_compressed(path.open("wb"), x=np.zeros((100_000, 784), np.uint8), y=np.zeros(100_000)),
    "IDX": lambda path: idx_of_zeros(path, 100_000),
}


def idx_of_zeros(path, n_rows):
    path.mkdir()
    images, labels = (gzip.compress(struct.pack(">2I", magic, n_rows) + sides + bytes(size * n_rows)) for magic, sides, size in ((0x803, struct.pack(">2I", 28, 28), 784), (0x801, b"", 1)))  # fmt: skip
    (path / "train-images-idx3-ubyte.gz").write_bytes(images)
    (path / "train-labels-idx1-ubyte.gz").write_bytes(labels)


@pytest.mark.parametrize("name", LABELS)
def test_labels_to_predict_on_are_read_batch_by_batch(name, tmp_path):
    LABELS[name](tmp_path / "file")
    tracemalloc.start()
    assert sum(predict(tmp_path / "file")) == 100_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 << 20


def pipe_as(name):
    def write(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(folder / name)

    return write


PIPES = {
    "a pipe": ("pipe", "pipe: a pipe or a device"),
    "a device": ("/dev/zero", "/dev/zero: a pipe or a device"),
    "among pictures": ("3/a.png", "a.png: a pipe or a device; expected pictures"),
    "among IDX files": ("train-images-idx3-ubyte", "a pipe or a device|no IDX file of"),
}


@pytest.mark.parametrize("name", PIPES)
def test_pipe_or_device_is_refused_instead_of_waited_for(name, tmp_path):
    path, expected = PIPES[name]
    folder = tmp_path / "files"
    if not path.startswith("/"):
        pipe_as(path)(folder)
    source = folder / path if path in {"pipe", "/dev/zero"} else folder
    for read in (predict, train):
        with pytest.raises(InputError, match=expected):
            read(source)


def test_pipe_that_a_pattern_matches_is_refused(tmp_path):
    draw_digits(1, 1)
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"a\.csv: a pipe or a device"):
        predict(f"{tmp_path}/*.csv")
