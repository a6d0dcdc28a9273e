"""Time every reader and the whole validation on MNIST's rows, beside pandas, NumPy and a column-wise pandera schema."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tempfile
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import api
import h5py
import numpy as np
import pandas as pd
import pandera.pandas as pa
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import dump_svmlight_file
from timing import Digits, flag_parser, load_digits, seconds_of

from schemas.digits import SIDE
from schemas.pixel_frame import PIXEL_COLUMNS, labelled_frame

Cases = dict[str, Callable[[], object]]

REPETITIONS = 3
FEW_ROWS = 5_000
VALIDATION = "validation, everything"


def main() -> None:
    """Write MNIST's training rows in every format, read them, validate them, and print the seconds."""
    repetitions = 1 if flag_parser(__doc__).parse_args().quick else REPETITIONS
    digits = load_digits()
    n_train = len(digits.x_train)
    n_rows = n_train + len(digits.x_test)
    with tempfile.TemporaryDirectory() as folder:
        readers, checks = read_cases(digits, Path(folder)), validation_cases(digits)
        few = few_rows_cases(digits, Path(folder))
        rows = dict.fromkeys(readers, n_train) | dict.fromkeys(few, FEW_ROWS) | dict.fromkeys(checks, n_rows)
        metrics = [
            {"case": case, "rows": rows[case], "seconds": repeated_seconds(function, repetitions)}
            for case, function in (readers | few | checks).items()
        ]
    memory = {"peak_bytes": allocated_bytes(checks[VALIDATION]), "frame_bytes": n_rows * (1 + len(PIXEL_COLUMNS))}
    print(json.dumps([one | memory if one["case"] == VALIDATION else one for one in metrics]))


def read_cases(digits: Digits, folder: Path) -> Cases:
    """Write the training rows in every format; return the project's readers and what one would call without them."""
    npz, csv, parquet, idx = (folder / name for name in ("a.npz", "a.csv", "a.parquet", "idx"))
    train = labelled_frame(digits.x_train, digits.y_train)
    np.savez(npz, x_train=digits.x_train, y_train=digits.y_train)
    train.to_csv(csv, index=False)
    Path(f"{csv}.gz").write_bytes(gzip.compress(csv.read_bytes(), compresslevel=6))
    train.to_parquet(parquet)
    write_idx(digits, idx)
    return {
        "reader, npz": lambda: api.load(npz),
        "reader, csv": lambda: api.load(csv),
        "reader, csv.gz": lambda: api.load(f"{csv}.gz"),
        "reader, parquet": lambda: api.load(parquet),
        "reader, idx": lambda: api.load(idx),
        "`np.load` of the same npz": lambda: dict(np.load(npz)),
        "`pandas.read_csv` of the same csv": lambda: pd.read_csv(csv),
        "`pandas.read_parquet`": lambda: pd.read_parquet(parquet),
    }


def few_rows_cases(digits: Digits, folder: Path) -> Cases:
    """Write the first training rows in the formats of `FEW_ROWS_FORMATS`; return the project's readers."""
    images, labels = digits.x_train[:FEW_ROWS], digits.y_train[:FEW_ROWS]
    cases: Cases = {}
    for title, (name, write) in FEW_ROWS_FORMATS.items():
        write(folder / name, images, labels)
        cases[f"reader, {title}"] = partial(api.load, folder / name)
    return cases


def validation_cases(digits: Digits) -> Cases:
    """Return the project's validation and the schema that one would write first."""
    loaded = api.load("mnist")
    parts = labelled_frame(digits.x_train, digits.y_train), labelled_frame(digits.x_test, digits.y_test)
    table = pd.concat(parts, ignore_index=True)
    columns = {name: pa.Column("uint8", pa.Check.in_range(0, 255)) for name in PIXEL_COLUMNS}
    schema = pa.DataFrameSchema({"label": pa.Column("uint8", pa.Check.isin(range(10)))} | columns)
    return {
        VALIDATION: lambda: api.validate(loaded),
        "a pandera schema of 785 columns": lambda: schema.validate(table, lazy=True),
    }


def repeated_seconds(function: Callable[[], object], repetitions: int) -> list[float]:
    """Time a call several times, after one to warm up."""
    return [seconds_of(function) for _ in range(repetitions + 1)][1:]


def allocated_bytes(function: Callable[[], object]) -> int:
    """Return the peak of the memory that a call allocates."""
    tracemalloc.start()
    function()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def write_idx(digits: Digits, folder: Path) -> None:
    """Write the training rows in the format of MNIST's own files."""
    folder.mkdir()
    rows = len(digits.x_train)
    images = struct.pack(">4I", 0x803, rows, SIDE, SIDE) + digits.x_train.tobytes()
    (folder / "train-images-idx3-ubyte").write_bytes(images)
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, rows) + digits.y_train.tobytes())


def write_pictures(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images as PNG files in a folder per label."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / str(label) / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def write_arff(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images as OpenML does."""
    head = [*(f"@ATTRIBUTE {name} REAL" for name in PIXEL_COLUMNS), "@ATTRIBUTE class {0,1,2,3,4,5,6,7,8,9}", "@DATA"]
    rows = np.column_stack([images.reshape(len(images), -1), labels])
    path.write_text("\n".join(["@RELATION mnist", *head, *(",".join(map(str, row)) for row in rows.tolist())]))


def write_libsvm(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images as in LIBSVM's collection of data sets."""
    dump_svmlight_file(images.reshape(len(images), -1).astype(np.int64), labels, str(path), zero_based=False)


def write_hdf5(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["images"], file["labels"] = images, labels


def write_hugging_face(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images as PNG files in a column of a Parquet table."""
    pictures = []
    for image in images:
        Image.fromarray(image).save(picture := io.BytesIO(), "PNG")
        pictures.append({"bytes": picture.getvalue(), "path": None})
    pd.DataFrame({"image": pictures, "label": labels}).to_parquet(path)


FEW_ROWS_FORMATS: dict[str, tuple[str, Callable[[Path, np.ndarray, np.ndarray], object]]] = {
    "arff": ("a.arff", write_arff),
    "feather": ("a.feather", lambda path, images, labels: labelled_frame(images, labels).to_feather(path)),
    "hdf5": ("a.h5", write_hdf5),
    "libsvm": ("a.libsvm", write_libsvm),
    "mat": ("a.mat", lambda path, images, labels: savemat(path, {"images": images, "labels": labels})),
    "parquet of PNG, as from Hugging Face": ("pictures.parquet", write_hugging_face),
    "zip of csv": ("a.csv.zip", lambda path, images, labels: labelled_frame(images, labels).to_csv(path, index=False)),
    "pictures, PNG": ("pictures", write_pictures),
}
"""Formats that are slower to read or to write, by title: name of the file, and function that writes it."""


if __name__ == "__main__":
    main()
