"""The pixel frame: a pandas frame of `label` and `pixel0` … `pixel783`, one row per image.

Pixels are `uint8`, row-major 28×28, bright ink on a dark background (0).
A frame to predict on has no `label`.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray
from pandera.errors import SchemaErrors

from schemas.digits import CLASSES, PIXEL_COUNT
from schemas.errors import InputError, join_messages

PIXEL_COLUMNS = tuple(f"pixel{position}" for position in range(PIXEL_COUNT))
LABELLED_COLUMNS = ("label", *PIXEL_COLUMNS)
BLOCK_ROWS = 2048


def labelled_frame(pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> pd.DataFrame:
    """Build a labelled pixel frame from images (rows × 28 × 28 or rows × 784) and their labels.

    Label and pixels share one C-ordered array, so that `to_numpy()` gives it back without a copy.
    """
    table = np.empty((len(labels), 1 + PIXEL_COUNT), np.uint8)
    table[:, 0] = labels
    table[:, 1:] = pixels.reshape(len(labels), PIXEL_COUNT)
    return pd.DataFrame(table, columns=list(LABELLED_COLUMNS), copy=False)


def pixels_of(frame: pd.DataFrame) -> NDArray[np.uint8]:
    """Return the pixels as rows × 784, a view where the frame allows one."""
    return frame.to_numpy()[:, -PIXEL_COUNT:]


def labels_of(frame: pd.DataFrame) -> NDArray[np.uint8]:
    """Return the labels, one per row."""
    return frame["label"].to_numpy()


def blocks(n_rows: int, size: int = BLOCK_ROWS) -> Iterator[slice]:
    """Yield slices of rows that fit in the processor's cache as floats, so that no frame is converted as a whole."""
    return (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))


def _column_fault(expected: pd.Index, frame: pd.DataFrame) -> str | None:
    if frame.columns.equals(expected):
        return None
    n_columns = len(frame.columns)
    for number, (name, required) in enumerate(zip(frame.columns, expected, strict=False), 1):
        if name != required:
            return f"{name!r} in place of {required!r} as column {number} of {n_columns}"
    return f"{n_columns} columns"


labelled_column_fault = partial(_column_fault, pd.Index(LABELLED_COLUMNS))
unlabelled_column_fault = partial(_column_fault, pd.Index(PIXEL_COLUMNS))


def _type_fault(frame: pd.DataFrame) -> str | None:
    if set(frame.dtypes) == {np.dtype(np.uint8)}:  # ten times faster, and the usual case
        return None
    return (
        join_messages([f"{column} of {dtype}" for column, dtype in frame.dtypes.items() if dtype != np.uint8]) or None
    )


def _label_fault(frame: pd.DataFrame) -> str | None:
    if "label" not in frame:
        return None  # the check of the columns reports it
    outside = ~frame["label"].isin(CLASSES).to_numpy()
    if not outside.any():
        return None
    first = int(outside.argmax())
    return f"{int(outside.sum())} others, the first of them {frame['label'].iloc[first]} in row {frame.index[first]}"


def _check(name: str, allowed: str, fault: Callable[[pd.DataFrame], str | None]) -> pa.Check:
    return pa.Check(lambda frame: fault(frame) is None, name=name, error=allowed, statistics={"fault": fault})


_COMMON = (
    _check("uint8", "every column is uint8, whole numbers from 0 to 255, none missing", _type_fault),
    _check("rows", "at least one row", lambda frame: None if len(frame) else "none"),
)
LABELLED = pa.DataFrameSchema(
    checks=[
        _check("columns", "the columns are label, pixel0 … pixel783 in this order", labelled_column_fault),
        *_COMMON,
        _check("labels", "labels are 0 to 9", _label_fault),
    ],
)
UNLABELLED = pa.DataFrameSchema(
    checks=[_check("columns", "the columns are pixel0 … pixel783 in this order", unlabelled_column_fault), *_COMMON]
)


def validate(schema: pa.DataFrameSchema, frame: pd.DataFrame, where: str) -> None:
    """Validate a frame against its schema; raise one InputError that lists every fault.

    Each check takes the whole frame, which takes a few hundredths of a second for MNIST's 70,000 rows. 785 pandera
    columns would take 0.4 s.
    """
    try:
        # In place, or pandera would check a copy; nothing is changed.
        schema.validate(frame, lazy=True, inplace=True)
    except SchemaErrors as errors:
        failed = [error.check for error in errors.schema_errors]
        messages = [f"{check.error} (found: {check.statistics['fault'](frame)})" for check in failed]
        raise InputError(f"{where}: {'; '.join(messages)}") from None
