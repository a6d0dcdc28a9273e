"""Time every reader and the whole validation on MNIST's rows, beside pandas, NumPy and a column-wise pandera schema."""

from __future__ import annotations

import gzip
import json
import struct
import tempfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import api
import numpy as np
import pandas as pd
import pandera.pandas as pa
from PIL import Image
from timing import flag_parser, load_digits, seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from results import Measurement
    from timing import Digits

REPETITIONS = 5
PICTURES = 5_000
SIDE = 28
PIXELS = [f"pixel{number}" for number in range(SIDE * SIDE)]


def main() -> None:
    """Write MNIST's training rows in every format, read them, validate them, and print the seconds."""
    repetitions = 1 if flag_parser(__doc__).parse_args().quick else REPETITIONS
    digits = load_digits()
    with tempfile.TemporaryDirectory(prefix="data-") as folder:
        cases = {**read_cases(digits, Path(folder)), **validation_cases(digits)}
        measurements = [time_case(case, rows, function, repetitions) for case, (rows, function) in cases.items()]
    validation = next(one for one in measurements if one["case"] == "validation, everything")
    validation["peak_bytes"] = traced_peak_bytes(cases["validation, everything"][1])
    validation["frame_bytes"] = validation["rows"] * (1 + len(PIXELS))
    print(json.dumps(measurements))


def read_cases(digits: Digits, folder: Path) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return the project's readers and what one would call without them, with the rows that each reads."""
    npz, csv, parquet = folder / "train.npz", folder / "train.csv", folder / "train.parquet"
    idx, pictures = folder / "idx", folder / "pictures"
    train = frame(digits.x_train, digits.y_train)
    np.savez(npz, x_train=digits.x_train, y_train=digits.y_train)
    train.to_csv(csv, index=False)
    Path(f"{csv}.gz").write_bytes(gzip.compress(csv.read_bytes(), compresslevel=6))
    train.to_parquet(parquet)
    write_idx(digits, idx)
    write_pictures(digits, pictures)
    rows = len(train)
    return {
        "reader: npz": (rows, lambda: api.load(npz)),
        "reader: csv": (rows, lambda: api.load(csv)),
        "reader: csv.gz": (rows, lambda: api.load(f"{csv}.gz")),
        "reader: parquet": (rows, lambda: api.load(parquet)),
        "reader: idx": (rows, lambda: api.load(idx)),
        "reader: pictures, PNG": (PICTURES, lambda: api.load(pictures)),
        "`np.load` of the same npz": (rows, lambda: dict(np.load(npz))),
        "`pandas.read_csv` of the same csv": (rows, lambda: pd.read_csv(csv)),
        '`pandas.read_csv(dtype="uint8")`': (rows, lambda: pd.read_csv(csv, dtype="uint8")),
        '`pandas.read_csv(engine="pyarrow")`': (rows, lambda: pd.read_csv(csv, engine="pyarrow")),
        "`pandas.read_parquet`": (rows, lambda: pd.read_parquet(parquet)),
    }


def validation_cases(digits: Digits) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return the project's validation and the schema that one would write first."""
    loaded = api.load("mnist")
    both = pd.concat([frame(digits.x_train, digits.y_train), frame(digits.x_test, digits.y_test)], ignore_index=True)
    columns = {name: pa.Column("uint8", pa.Check.in_range(0, 255)) for name in PIXELS}
    schema = pa.DataFrameSchema({"label": pa.Column("uint8", pa.Check.isin(range(10)))} | columns)
    return {
        "validation, everything": (len(both), lambda: api.validate(loaded)),
        "a pandera schema of 785 columns": (len(both), lambda: schema.validate(both, lazy=True)),
    }


def frame(images: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Return images as a table with a column per pixel."""
    rows = np.column_stack([labels, images.reshape(len(images), -1)])
    return pd.DataFrame(rows, columns=["label", *PIXELS])


def time_case(case: str, rows: int, function: Callable[[], object], repetitions: int) -> Measurement:
    """Time a call several times, after one to warm up."""
    function()
    return {"case": case, "rows": rows, "seconds": [seconds_of(function) for _ in range(repetitions)]}


def traced_peak_bytes(function: Callable[[], object]) -> int:
    """Return the peak of the memory that a call allocates."""
    tracemalloc.start()
    function()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def write_idx(digits: Digits, folder: Path) -> None:
    """Write the training rows as MNIST's own files."""
    folder.mkdir()
    images, labels = digits.x_train, digits.y_train
    head = struct.pack(">4I", 0x803, len(images), SIDE, SIDE)
    (folder / "train-images-idx3-ubyte").write_bytes(head + images.tobytes())
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, len(labels)) + labels.tobytes())


def write_pictures(digits: Digits, folder: Path) -> None:
    """Write the first training rows as PNG files in a folder per label."""
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
    for number in range(PICTURES):
        path = folder / str(digits.y_train[number]) / f"{number:05}.png"
        Image.fromarray(digits.x_train[number]).save(path)


if __name__ == "__main__":
    main()
