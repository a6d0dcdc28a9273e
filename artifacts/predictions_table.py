"""Write the predictions file, CSV or Parquet, one row per image, in batches; it appears only when complete."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from artifacts import predictions
from artifacts.files import new_file
from schemas.prediction import OutputFormat, PredictionBatch
from schemas.text import printable

FORMULA = "^([=+\\-@\t\r\n＝＋－＠])"  # noqa: RUF001
"""The first character of a text that a spreadsheet would run as a formula when it opens a CSV file."""
COLUMNS = pa.schema(
    {
        "item": pa.string(),
        "label": pa.uint8(),
        "confidence": pa.float32(),
        "second": pa.uint8(),
        "abstained": pa.bool_(),
        "unlike_training": pa.bool_(),
        "reason": pa.string(),
    }
)
KAGGLE = pa.schema({"ImageId": pa.int64(), "Label": pa.uint8()})
"""The columns of a submission to Kaggle's Digit Recognizer."""


@contextmanager
def writer(path: Path, output_format: OutputFormat = "predictions") -> Iterator[Callable[[PredictionBatch], None]]:
    """Yield a function that appends a batch; the file replaces an older one when the `with` ends without an exception.

    Raises InputError if it can't be written, for example because the disk is full.
    """
    predictions.check(path, output_format)
    is_csv = path.suffix != ".parquet"
    schema, build = (KAGGLE, _submission()) if output_format == "kaggle" else (COLUMNS, partial(_table, is_csv=is_csv))
    format_writer = pyarrow.csv.CSVWriter if is_csv else pyarrow.parquet.ParquetWriter
    try:
        with new_file(path.resolve()) as temporary, format_writer(temporary, schema) as sink:  # keeps a symbolic link
            yield lambda batch: sink.write_table(build(batch))
    except OSError as error:
        raise predictions.unwritable(path, error) from error


def _table(batch: PredictionBatch, *, is_csv: bool) -> pa.Table:
    """Return a batch as columns; an invalid image has only its name, `abstained` and the reason."""
    values = (batch.label, batch.confidence, batch.second, batch.unlike_training)
    label, confidence, second, unlike = (pa.array(column, mask=batch.fault != "") for column in values)
    reason = pa.array(batch.reason, pa.string(), mask=batch.reason == "")
    table = pa.table([_names(batch.items), label, confidence, second, batch.abstained, unlike, reason], schema=COLUMNS)
    return _escape_formulas(table) if is_csv else table


def _names(items: pd.Index) -> pa.Array:
    """Return the names of images, safe to show. Row numbers need no escaping; other names do."""
    if items.dtype.kind == "i":
        return pa.array(items.to_numpy()).cast(pa.string())
    return pa.array([printable(str(item)) for item in items], pa.string())


def _submission() -> Callable[[PredictionBatch], pa.Table]:
    """Return a function that numbers the images of all batches from 1; each has a label, even without an answer."""
    numbers = itertools.count(1)
    return lambda batch: pa.table([[next(numbers) for _ in batch.label], batch.label], schema=KAGGLE)


def _escape_formulas(table: pa.Table) -> pa.Table:
    """Put an apostrophe before names that a spreadsheet would run as formulas; no other column can begin so."""
    return table.set_column(0, COLUMNS.field("item"), pc.replace_substring_regex(table["item"], FORMULA, r"'\1"))
