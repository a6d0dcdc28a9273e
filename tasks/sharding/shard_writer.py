"""Read a shard in batches, check its rows, and write the valid ones as compact arrays."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from io import BufferedWriter
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.digits import PIXEL_COUNT
from schemas.errors import InputError
from schemas.pixel_frame import labelled_column_fault
from schemas.rules import Rules
from tasks.sharding.images import HEADER_BYTES
from tasks.sharding.memory import batch_rows
from tasks.sources import formats, parquet_table
from tasks.validation.check_rows import check_frame
from tasks.validation.repairs import BYTES

PIXELS, ARRAYS, SUMMARY = "pixels.npy", "arrays.npz", "summary.json"
"""Few files, since each takes time to create and to flush to the disk: the arrays have an archive together."""
ROW_ARRAYS = ("labels", "digests", "positions")
"""The arrays of the valid rows; the others are the positions of invalid rows, by reason."""


def write_shard(path: Path, folder: Path, rules: Rules, scale: str, n_rows: int | None) -> None:
    """Write the valid rows of a shard, with `n_rows` if that is known, whose images have a scale, into an empty folder.

    It is read in batches that fit in the memory, with more rows if all columns are `uint8`.
    """
    n_batch = batch_rows(rules.memory)
    if scale == BYTES and n_rows is not None and n_rows > n_batch:
        n_batch = parquet_table.batch_rows(path, rules, n_batch)
    n_input, scales, notes = 0, Counter[str](), list[str]()
    arrays: dict[str, list[NDArray[np.generic]]] = {name: [] for name in ROW_ARRAYS}
    with (folder / PIXELS).open("wb") as file:
        file.write(bytes(HEADER_BYTES))  # written again when the number of rows is known
        for frame in read_batches(path, rules, n_batch):
            checked = check_frame(frame, rules.repair, rules.relabel, scale)
            file.write(np.ascontiguousarray(checked.images.read(slice(None))).data)
            arrays["labels"].append(checked.images.labels.copy())
            arrays["digests"].append(checked.digests)
            arrays["positions"].append(n_input + checked.positions)
            for reason, positions in checked.faults.items():
                arrays.setdefault(reason, []).append(n_input + positions)
            n_input += checked.n_input
            scales.update(checked.scales)
            notes += frame.attrs.get("notes", ())
        n_valid = sum(map(len, arrays["labels"]))
        file.seek(0)
        header = {"descr": "|u1", "fortran_order": False, "shape": (n_valid, PIXEL_COUNT)}
        np.lib.format.write_array_header_1_0(file, header)  # as long for any number of rows
        _flush(file)
    if not n_input:
        raise InputError(f"{path}: no rows")
    counts = {"n_input": n_input, "n_valid": n_valid, "scales": scales, "notes": notes}
    _write_summary(folder, {name: np.concatenate(pieces) for name, pieces in arrays.items()}, counts)


def read_batches(path: Path, rules: Rules, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read a shard `n_rows` rows at a time; raise InputError unless it has the columns of a labelled pixel frame."""
    for frame in formats.find_shard_format(path).batches(path, rules, n_rows):
        if fault := labelled_column_fault(frame):
            raise InputError(f"{path}: {fault}; expected label, pixel0 … pixel783")
        yield frame


def _write_summary(folder: Path, arrays: Mapping[str, NDArray[np.generic]], counts: Mapping[str, object]) -> None:
    """Write the arrays, and last the counts with the sizes of all other files."""
    with (folder / ARRAYS).open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        _flush(file)
    sizes = {file.name: file.stat().st_size for file in folder.iterdir()}
    (folder / SUMMARY).write_text(json.dumps({"counts": counts, "bytes": sizes}), "utf-8")


def _flush(file: BufferedWriter) -> None:
    """Flush a file to the disk, so that it never has the right size and a wrong content after a power failure."""
    file.flush()
    os.fsync(file.fileno())
