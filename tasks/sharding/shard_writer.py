"""Read a shard in batches, check its rows, and write the valid ones as compact arrays."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from io import BufferedWriter
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.digits import PIXEL_COUNT
from schemas.errors import InputError
from schemas.pixel_frame import labelled_column_fault, labels_of, pixels_of
from schemas.rules import Rules
from tasks.sharding.images import HEADER_BYTES
from tasks.sharding.memory import batch_rows
from tasks.sources import formats, parquet_table
from tasks.validation import row_faults
from tasks.validation.check_rows import RowCheckResult, check_rows
from tasks.validation.repairs import BYTES, apply_repairs, count_scales, relabel, select_repairs

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
    writer = _Writer(folder, rules, scale)
    writer.write_rows(read_batches(path, rules, n_batch))
    if not writer.n_input:
        raise InputError(f"{path}: no rows")
    writer.write_summary()


def read_batches(path: Path, rules: Rules, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read a shard `n_rows` rows at a time; raise InputError unless it has the columns of a labelled pixel frame."""
    for frame in formats.find_shard_format(path).batches(path, rules, n_rows):
        if fault := labelled_column_fault(frame):
            raise InputError(f"{path}: {fault}; expected label, pixel0 … pixel783")
        yield frame


class _Writer:
    """Writes the files of a cached shard: pixels batch by batch, everything else at the end."""

    def __init__(self, folder: Path, rules: Rules, scale: str) -> None:
        self.n_input = 0
        self._folder, self._relabel = folder, rules.relabel
        self._repairs = select_repairs(scale, (*rules.repair, "scale"))
        self._scales: Counter[str] = Counter()
        self._notes: list[str] = []
        self._arrays: dict[str, list[NDArray[np.generic]]] = {name: [] for name in ROW_ARRAYS}
        self._faults: dict[str, list[NDArray[np.generic]]] = {}

    @property
    def n_valid(self) -> int:
        return sum(map(len, self._arrays["labels"]))

    def write_rows(self, batches: Iterator[pd.DataFrame]) -> None:
        with (self._folder / PIXELS).open("wb") as file:
            file.write(bytes(HEADER_BYTES))  # written again when the number of rows is known
            for frame in batches:
                self._scales += count_scales(frame)
                self._notes += frame.attrs.get("notes", ())
                result = check_rows(apply_repairs(relabel(frame, self._relabel), self._repairs))
                file.write(np.ascontiguousarray(pixels_of(result.valid)).data)
                self._add(result)
            file.seek(0)
            header = {"descr": "|u1", "fortran_order": False, "shape": (self.n_valid, PIXEL_COUNT)}
            np.lib.format.write_array_header_1_0(file, header)  # as long for any number of rows
            _flush(file)

    def write_summary(self) -> None:
        arrays = {name: np.concatenate(pieces) for name, pieces in (self._arrays | self._faults).items()}
        with (self._folder / ARRAYS).open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            _flush(file)
        counts = {
            "n_input": self.n_input,
            "n_valid": self.n_valid,
            "scales": dict(self._scales),
            "notes": self._notes,
        }
        sizes = {file.name: file.stat().st_size for file in self._folder.iterdir()}
        (self._folder / SUMMARY).write_text(json.dumps({"counts": counts, "bytes": sizes}), "utf-8")

    def _add(self, result: RowCheckResult) -> None:
        self._arrays["labels"].append(labels_of(result.valid).copy())
        self._arrays["digests"].append(row_faults.digests(pixels_of(result.valid)))
        self._arrays["positions"].append(self.n_input + np.flatnonzero(result.is_valid))
        for reason, fails in result.faults.items():
            self._faults.setdefault(reason, []).append(self.n_input + np.flatnonzero(fails))
        self.n_input += len(result.is_valid)


def _flush(file: BufferedWriter) -> None:
    """Flush a file to the disk, so that it never has the right size and a wrong content after a power failure."""
    file.flush()
    os.fsync(file.fileno())
