"""Judge rows: facts about each image, the verdicts of the row checks, the rows that pass as a pixel frame."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from schemas import row_checks
from schemas.digits import PIXEL_COUNT
from schemas.pixel_frame import LABELLED_COLUMNS, blocks

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandera.pandas as pa
    from numpy.typing import NDArray

    from schemas.results import Part

DIGEST_BYTES = 16


class RowKeys(Protocol):
    """What tells copies: the images' digests, rows × 2, and their labels."""

    @property
    def digests(self) -> NDArray[np.uint64]:
        """Give the digests."""

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Give the labels."""


def value_faults(frame: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Give the rows whose label or pixels aren't those of a digit, by reason."""
    return label_faults(frame) | pixel_faults(frame)


def label_faults(frame: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Give the rows without a digit's label, by reason."""
    return _failures(row_checks.LABELS, frame[["label"]])


def pixel_faults(frame: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Give the rows whose pixels aren't those of a digit, by reason, whether they have a label or not."""
    facts = [_block_facts(frame.iloc[block, -PIXEL_COUNT:].to_numpy()) for block in blocks(len(frame))]
    return _failures(row_checks.PIXELS, pd.DataFrame({n: np.concatenate([f[n] for f in facts]) for n in facts[0]}))


def failing(faults: Mapping[str, NDArray[np.bool_]], count: int) -> NDArray[np.bool_]:
    """Mark which of so many rows fail any of the checks."""
    return np.asarray(np.any([np.zeros(count, bool), *faults.values()], axis=0))


def reasons(faults: Mapping[str, NDArray[np.bool_]], count: int) -> NDArray[np.object_]:
    """Give, for each of so many rows, the names of the checks that it fails; nothing for those that fail none."""
    told = np.full(count, "", object)
    for reason, marked in faults.items():
        told[marked] = [f"{others}; {reason}" if others else reason for others in told[marked]]
    return told


def copy_faults(train: RowKeys, test: RowKeys | None) -> dict[Part, dict[str, NDArray[np.bool_]]]:
    """Give the rows of either part that are another's copy, by part and reason.

    Images that come with two labels in a part go, all of them; of equal training rows the first stays; training rows
    equal to a test row go. Equal test rows stay: they are the test's own affair.
    """
    known = np.empty((0, 2), np.uint64) if test is None else test.digests
    groups, first = _groups(np.concatenate([train.digests, known]))
    ours, tested = np.split(groups, [len(train.labels)])
    facts = {
        "contradicts": _contradicts(ours, train.labels, len(first)),
        "repeats": first[ours] != np.arange(len(ours)),
        "leaks": _among(tested, len(first))[ours],
    }
    faults: dict[Part, dict[str, NDArray[np.bool_]]] = {"train": _failures(row_checks.COPIES, pd.DataFrame(facts))}
    if test is not None:
        of_test = {"contradicts": _contradicts(tested, test.labels, len(first)), "repeats": False, "leaks": False}
        faults["test"] = _failures(row_checks.COPIES, pd.DataFrame(of_test))
    return faults


def digests(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Digest each image (of rows × 784), whatever its label: rows × 2, 128 bits; equal ones are equal images."""
    joined = b"".join([blake2b(row, digest_size=DIGEST_BYTES).digest() for row in pixels])
    return np.frombuffer(joined, "<u8").reshape(-1, 2)


def take(frame: pd.DataFrame, marked: NDArray[np.bool_]) -> pd.DataFrame:
    """Give the marked rows as a pixel frame, `uint8` in one C-ordered array; all rows of such a one without a copy."""
    values = frame.to_numpy() if marked.all() else frame.to_numpy()[marked]
    return pd.DataFrame(
        np.ascontiguousarray(values, np.uint8),
        index=frame.index[marked],
        columns=list(LABELLED_COLUMNS),
        copy=False,
    )


def _groups(digests: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Number the different digests; give each row's number, and of each number the first row that has it."""
    order = _ordered(digests)
    ordered = digests[order]
    new = np.ones(len(order), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    groups = np.empty(len(order), np.int64)
    groups[order] = np.cumsum(new) - 1
    return groups, order[new]


def _ordered(digests: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Sort digests, equal ones by their rows: by the first halves at once, whole where these are equal, which is rare.

    In less than half the time that sorting by both halves takes.
    """
    order = np.argsort(digests[:, 0])
    equal = np.diff(digests[order, 0]) == 0
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    rows = order[tied]
    order[tied] = rows[np.lexsort((rows, digests[rows, 1], digests[rows, 0]))]
    return order


def _among(groups: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    marked = np.zeros(count, bool)
    marked[groups] = True
    return marked


def _contradicts(groups: NDArray[np.int64], labels: NDArray[np.uint8], count: int) -> NDArray[np.bool_]:
    """Mark the rows of the groups that have more than one label."""
    any_label = np.zeros(count, np.uint8)
    any_label[groups] = labels
    return _among(groups[labels != any_label[groups]], count)[groups]


def _failures(schema: pa.DataFrameSchema, facts: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    return {reason: failing.to_numpy() for reason, failing in row_checks.failures(schema, facts).items()}


def _block_facts(pixels: NDArray[np.generic]) -> dict[str, NDArray[np.generic]]:
    """Count, in each image of a block, what a pixel can't be; then look for ink and for ground."""
    seen: NDArray[Any] = pixels
    if pixels.dtype == np.uint8:
        faults = dict.fromkeys(("missing", "infinite", "outside", "fractional"), np.zeros(len(pixels), int))
    else:
        values = pixels.astype(np.float64)
        finite = np.isfinite(values)
        seen = np.where(finite, values, 0)
        faults = {
            "missing": np.isnan(values).sum(axis=1),
            "infinite": np.isinf(values).sum(axis=1),
            "outside": ((seen < 0) | (seen > 255)).sum(axis=1),  # noqa: PLR2004, the largest of a byte
            "fractional": (seen != np.rint(seen)).sum(axis=1),
        }
    brightest = seen.max(axis=1).astype(np.float64)
    ground = (
        (seen < row_checks.BRIGHT).sum(axis=1, dtype=np.uint16).astype(int)
    )  # so summed, not counted: half the time
    return faults | {"brightest": brightest, "ground": ground}
