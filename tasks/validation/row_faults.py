"""Run the registered row checks on a frame or on digests; return which rows fail which check."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.digits import PIXEL_COUNT
from schemas.pixel_frame import LABELLED_COLUMNS, blocks
from schemas.row_checks import EqualImages, PixelBlock, checks_of, failures
from schemas.validation import Part

Faults = dict[str, NDArray[np.bool_]]
"""By name of each check that any row fails: a mask of the rows that fail it."""


class RowKeys(NamedTuple):
    """The digests of rows' images (rows × 2) and their labels, by which copies are found."""

    digests: NDArray[np.uint64]
    labels: NDArray[np.uint8]


def value_faults(frame: pd.DataFrame) -> Faults:
    """Return which rows of a frame have an invalid label or invalid pixels."""
    checks = checks_of("label")
    label_faults = failures(checks, {check.name: check.fact(frame["label"]) for check in checks})
    return label_faults | pixel_faults(frame.iloc[:, -PIXEL_COUNT:].to_numpy())


def pixel_faults(pixels: NDArray[np.generic]) -> Faults:
    """Return which rows have invalid pixels (rows × 784)."""
    checks = checks_of("pixels")
    facts: dict[str, list[NDArray[np.generic]]] = {check.name: [] for check in checks}
    for rows in blocks(len(pixels)):
        block = PixelBlock(pixels[rows])
        for check in checks:
            facts[check.name].append(check.fact(block))
    return failures(checks, {name: np.concatenate(pieces) for name, pieces in facts.items()})


def copy_faults(keys: Mapping[Part, RowKeys]) -> dict[Part, Faults]:
    """Return which rows of each part are invalid copies of other rows.

    These are all rows of an image that has two labels in its part, training rows equal to an earlier one, and training
    rows equal to a test row. Equal test rows are valid.
    """
    groups, first = _group_equal(np.concatenate([part.digests for part in keys.values()]))
    ends = np.cumsum([len(part.labels) for part in keys.values()])
    groups_of = dict(zip(keys, np.split(groups, ends[:-1]), strict=True))
    in_test = np.zeros(len(first), bool)
    in_test[groups_of.get("test", [])] = True
    faults: dict[Part, Faults] = {}
    for part, rows in keys.items():
        checks = [check for check in checks_of("copies") if part == "train" or not check.train_only]
        images = EqualImages(groups_of[part], rows.labels, first, in_test)
        faults[part] = failures(checks, {check.name: check.fact(images) for check in checks})
    return faults


def any_fault(faults: Mapping[str, NDArray[np.bool_]], n_rows: int) -> NDArray[np.bool_]:
    """Return a mask of the rows, of `n_rows`, that fail any check."""
    return np.asarray(np.any([np.zeros(n_rows, bool), *faults.values()], axis=0))


def reasons(faults: Mapping[str, NDArray[np.bool_]], n_rows: int) -> NDArray[np.object_]:
    """Return for each row the names of the checks that it fails, joined by "; "; "" if it fails none."""
    joined = np.full(n_rows, "", object)
    for name, fails in faults.items():
        joined[fails] = [f"{others}; {name}" if others else name for others in joined[fails]]
    return joined


def digests(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return a digest of 128 bits for each image (of rows × 784): rows × 2; equal images have equal digests."""
    joined = b"".join([blake2b(row, digest_size=16).digest() for row in pixels])
    return np.frombuffer(joined, "<u8").reshape(-1, 2)


def take(frame: pd.DataFrame, selected: NDArray[np.bool_]) -> pd.DataFrame:
    """Return the selected rows as a pixel frame, `uint8` in one C-ordered array; without a copy where possible."""
    values = frame.to_numpy() if selected.all() else frame.to_numpy()[selected]
    pixels = np.ascontiguousarray(values, np.uint8)
    return pd.DataFrame(pixels, index=frame.index[selected], columns=list(LABELLED_COLUMNS), copy=False)


def _group_equal(digests: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Number the distinct digests; return each row's number, and for each number the first row that has it."""
    order = _sort(digests)
    in_order = digests[order]
    is_new = np.ones(len(order), bool)
    is_new[1:] = (in_order[1:] != in_order[:-1]).any(axis=1)
    groups = np.empty(len(order), np.int64)
    groups[order] = np.cumsum(is_new) - 1
    return groups, order[is_new]


def _sort(digests: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return the order that sorts digests, equal ones by row.

    Sorting by the first halves, and by both only where these are equal, takes less than half the time of sorting all
    rows by both.
    """
    order = np.argsort(digests[:, 0])
    is_equal = np.diff(digests[order, 0]) == 0
    tied = np.flatnonzero(np.append(is_equal, False) | np.append(False, is_equal))
    rows = order[tied]
    order[tied] = rows[np.lexsort((rows, digests[rows, 1], digests[rows, 0]))]
    return order
