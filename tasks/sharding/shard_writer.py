"""Read a shard in batches, check its rows, and write the valid ones as compact arrays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.digits import PIXEL_COUNT
from schemas.errors import InputError
from schemas.pixel_frame import labelled_column_fault, labels_of, pixels_of
from schemas.rules import DEFAULT_INPUT_RULES, Repair
from tasks.sharding.images import HEADER_BYTES
from tasks.sources import formats, parquet_table
from tasks.validation import row_faults
from tasks.validation.check_rows import RowCheckResult, check_rows
from tasks.validation.repairs import apply_repairs, find_max_pixel, relabel

PIXELS, FAULTS, SUMMARY = "pixels.npy", "faults.npz", "summary.json"
ARRAYS = ("labels", "digests", "positions")
"""The arrays of the valid rows, each in a file of its own."""


def write_shard(  # noqa: PLR0913, the fields of a job
    path: Path, folder: Path, repairs: Sequence[Repair], n_rows: int, *, relabel: str, rescale: bool
) -> None:
    """Write the valid rows of a shard into an empty folder, `n_rows` at a time, or more if all columns are `uint8`.

    `repairs` are applied to all images, `relabel` to labels, as in the rules; `rescale` then scales pixels
    from 0…1 to 0…255.
    """
    if not rescale and "scale" not in repairs:
        n_rows = parquet_table.batch_rows(path, n_rows)
    writer = _Writer(folder, repairs, relabel=relabel, rescale=rescale)
    writer.write_rows(read_batches(path, n_rows))
    if not writer.n_input:
        raise InputError(f"{path}: no rows")
    writer.write_summary()


def read_batches(path: Path, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read a shard `n_rows` rows at a time; raise InputError unless it has the columns of a labelled pixel frame."""
    for frame in formats.find_shard_format(path).batches(path, DEFAULT_INPUT_RULES, n_rows):
        if fault := labelled_column_fault(frame):
            raise InputError(f"{path}: {fault}; expected label, pixel0 … pixel783")
        yield frame


class _Writer:
    """Writes the files of a cached shard: pixels batch by batch, everything else at the end."""

    def __init__(self, folder: Path, repairs: Sequence[Repair], *, relabel: str, rescale: bool) -> None:
        self.n_input = 0
        self._folder, self._repairs, self._relabel, self._rescale = folder, repairs, relabel, rescale
        self._max_pixel, self._max_repaired_pixel = 0.0, 0.0
        self._arrays: dict[str, list[NDArray[np.generic]]] = {name: [] for name in ARRAYS}
        self._faults: dict[str, list[NDArray[np.int64]]] = {}

    @property
    def n_valid(self) -> int:
        return sum(map(len, self._arrays["labels"]))

    def write_rows(self, batches: Iterator[pd.DataFrame]) -> None:
        with (self._folder / PIXELS).open("wb") as file:
            file.write(bytes(HEADER_BYTES))  # written again when the number of rows is known
            for frame in batches:
                result = check_rows(self._repair(frame))
                file.write(np.ascontiguousarray(pixels_of(result.valid)).data)
                self._add(result)
            file.seek(0)
            header = {"descr": "|u1", "fortran_order": False, "shape": (self.n_valid, PIXEL_COUNT)}
            np.lib.format.write_array_header_1_0(file, header)  # as long for any number of rows

    def write_summary(self) -> None:
        for name, arrays in self._arrays.items():
            np.save(self._folder / f"{name}.npy", np.concatenate(arrays), allow_pickle=False)
        faults = {reason: np.concatenate(positions) for reason, positions in self._faults.items()}
        np.savez(self._folder / FAULTS, allow_pickle=False, **faults)
        counts = {
            "n_input": self.n_input,
            "n_valid": self.n_valid,
            "max_pixel": self._max_pixel,
            "max_repaired_pixel": self._max_repaired_pixel,
        }
        sizes = {file.name: file.stat().st_size for file in self._folder.iterdir()}
        (self._folder / SUMMARY).write_text(json.dumps({"counts": counts, "bytes": sizes}), "utf-8")

    def _repair(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame = relabel(frame, self._relabel)
        repaired_frame = apply_repairs(frame, self._repairs)
        max_pixel = find_max_pixel(frame)
        max_repaired_pixel = max_pixel if repaired_frame is frame else find_max_pixel(repaired_frame)
        self._max_pixel = max(self._max_pixel, max_pixel)
        self._max_repaired_pixel = max(self._max_repaired_pixel, max_repaired_pixel)
        return apply_repairs(repaired_frame, ("scale",)) if self._rescale else repaired_frame

    def _add(self, result: RowCheckResult) -> None:
        self._arrays["labels"].append(labels_of(result.valid).copy())
        self._arrays["digests"].append(row_faults.digests(pixels_of(result.valid)))
        self._arrays["positions"].append(self.n_input + np.flatnonzero(result.is_valid))
        for reason, fails in result.faults.items():
            self._faults.setdefault(reason, []).append(self.n_input + np.flatnonzero(fails))
        self.n_input += len(result.is_valid)
