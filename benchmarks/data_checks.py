"""Time every reader and every check on MNIST's rows, beside pandas, NumPy and the schema one would write first.

Prints a JSON list of what was timed: what, rows, seconds of each repetition.
"""

from __future__ import annotations

import gzip
import json
import struct
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pandera.pandas as pa
from PIL import Image

from schemas import pixel_frame
from schemas.digits import SIDE
from schemas.pixel_frame import PIXEL_COLUMNS, labels_of, pixels_of
from schemas.rules import DEFAULT_RULES
from tasks.sources import formats
from tasks.validation import check_rows, inspection, profiles, row_faults
from tasks.validation.drift import drifts

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.results import RawDataset

REPETITIONS = 5
PICTURES = 5_000


def main() -> None:
    """Write MNIST's training rows in every format, read them, check them."""
    mnist = formats.load("mnist", None, DEFAULT_RULES)
    with tempfile.TemporaryDirectory(prefix="data-checks-") as folder:
        timed = [*readings(mnist, Path(folder)), *checks(mnist)]
    json.dump(timed, sys.stdout)


def readings(mnist: RawDataset, folder: Path) -> list[dict[str, object]]:
    """Time the readers, and what one would call without them."""
    table, arrays, idx, pictures = folder / "train.csv", folder / "train.npz", folder / "idx", folder / "pictures"
    train = mnist.train
    train.to_csv(table, index=False)
    with gzip.open(f"{table}.gz", "wb", compresslevel=6) as file:
        file.write(table.read_bytes())
    train.to_parquet(folder / "train.parquet")
    np.savez(arrays, x_train=pixels_of(train), y_train=labels_of(train))
    _write_idx(train, idx)
    _write_pictures(train.iloc[:PICTURES], pictures)
    sources = {
        "npz": arrays,
        "csv": table,
        "csv.gz": f"{table}.gz",
        "parquet": folder / "train.parquet",
        "idx": idx,
    }

    def reader(source: object) -> Callable[[], object]:
        return lambda: formats.load(str(source), None, DEFAULT_RULES)

    peers: dict[str, Callable[[], object]] = {
        "`np.load` of the same npz": lambda: dict(np.load(arrays)),
        "`pandas.read_csv` of the same csv": lambda: pd.read_csv(table),
        '`pandas.read_csv(dtype="uint8")`': lambda: pd.read_csv(table, dtype="uint8"),
        '`pandas.read_csv(engine="pyarrow")`': lambda: pd.read_csv(table, engine="pyarrow"),
        "`pandas.read_parquet`": lambda: pd.read_parquet(folder / "train.parquet"),
    }
    return [
        *(_timed(f"reader: {name}", len(train), reader(source)) for name, source in sources.items()),
        _timed("reader: pictures, PNG", PICTURES, reader(pictures)),
        *(_timed(name, len(train), read) for name, read in peers.items()),
    ]


def checks(mnist: RawDataset) -> list[dict[str, object]]:
    """Time validation as a whole, its parts, and a schema of 785 columns."""
    reference = profiles.embedded()
    train, test = mnist.train, mnist.test
    if test is None:
        raise ValueError("MNIST has a test part")
    both = pd.concat([train, test], ignore_index=True)
    kept = {part: check_rows.check_frame(frame, ()) for part, frame in mnist.parts.items()}
    counts = profiles.count(kept["train"].images, reference)
    naive = pa.DataFrameSchema(
        {"label": pa.Column("uint8", pa.Check.isin(range(10)))}
        | {name: pa.Column("uint8", pa.Check.in_range(0, 255)) for name in PIXEL_COLUMNS}
    )
    parts: dict[str, Callable[[], object]] = {
        "validation, everything": lambda: inspection.inspect(mnist, DEFAULT_RULES, reference),
        "of it: values of rows": lambda: (row_faults.value_faults(train), row_faults.value_faults(test)),
        "of it: duplicates and leaks": lambda: row_faults.copy_faults(kept["train"].keys, kept["test"].keys),
        "of it: digests of rows": lambda: row_faults.digests(pixels_of(both)),
        "of it: profile, counts for drift": lambda: profiles.fit_profile(kept["train"].images, "mnist", reference),
        "of it: drift from the counts": lambda: drifts("train", counts, reference, DEFAULT_RULES),
        "of it: fingerprint": lambda: inspection.fingerprint(kept["train"].keys, kept["test"].keys),
        "of it: the frame's schema": lambda: pixel_frame.validate(pixel_frame.LABELLED, both, "all"),
        "a pandera schema of 785 columns": lambda: naive.validate(both, lazy=True),
    }
    timed = [_timed(name, len(both), check) for name, check in parts.items()]
    timed[0]["peak_bytes"] = _peak(parts["validation, everything"])
    timed[0]["frame_bytes"] = int(both.to_numpy().nbytes)
    return timed


def _timed(what: str, count: int, act: Callable[[], object]) -> dict[str, object]:
    act()
    seconds = []
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - started)
    return {"what": what, "rows": count, "seconds": seconds}


def _peak(act: Callable[[], object]) -> int:
    """Give the most memory that was taken beyond what was there."""
    tracemalloc.start()
    act()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def _write_idx(frame: pd.DataFrame, folder: Path) -> None:
    folder.mkdir()
    head = struct.pack(">4I", 0x803, len(frame), SIDE, SIDE)
    (folder / "train-images-idx3-ubyte").write_bytes(head + np.ascontiguousarray(pixels_of(frame)).tobytes())
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, len(frame)) + labels_of(frame).tobytes())


def _write_pictures(frame: pd.DataFrame, folder: Path) -> None:
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
    images = pixels_of(frame).reshape(-1, SIDE, SIDE)
    for number, (image, label) in enumerate(zip(images, labels_of(frame), strict=True)):
        Image.fromarray(np.ascontiguousarray(image)).save(folder / str(label) / f"{number:05}.png")


if __name__ == "__main__":
    main()
