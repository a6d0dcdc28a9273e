"""The predictions file, CSV or Parquet, one row per image. It is written in batches and appears only when complete."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from artifacts.files import new_file
from schemas.errors import FlagError, InputError
from schemas.prediction import PredictionBatch

SUFFIXES = (".csv", ".parquet")
COLUMNS = pa.schema(
    {
        "item": pa.string(),
        "label": pa.uint8(),
        "confidence": pa.float32(),
        "second": pa.uint8(),
        "abstained": pa.bool_(),
        "unlike_training": pa.bool_(),
    }
)


def check(path: Path) -> None:
    """Raise InputError unless predictions can be written to a path."""
    if path.suffix not in SUFFIXES:
        raise FlagError(f"--output {path}: must end with {' or '.join(SUFFIXES)}")
    try:
        if path.is_dir():
            raise InputError(f"--output {path}: is a folder; choose a file")
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            return
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def writer(path: Path) -> Iterator[Callable[[PredictionBatch], None]]:
    """Yield a function that appends a batch; the file replaces an older one when the `with` ends without an exception.

    Raises InputError if it can't be written, for example because the disk is full.
    """
    check(path)
    format_writer = pyarrow.parquet.ParquetWriter if path.suffix == ".parquet" else pyarrow.csv.CSVWriter
    try:
        with new_file(path.resolve()) as temporary, format_writer(temporary, COLUMNS) as sink:  # keeps a symbolic link
            yield lambda batch: sink.write_table(_table(batch))
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"--output {path}: can't be written ({error.strerror or error})")


def _table(batch: PredictionBatch) -> pa.Table:
    """Return a batch as columns; an invalid image has only its name and `abstained`."""
    values = (batch.label, batch.confidence, batch.second, batch.unlike_training)
    label, confidence, second, unlike = (pa.array(column, mask=batch.reason != "") for column in values)
    return pa.table([batch.items.astype(str), label, confidence, second, batch.abstained, unlike], schema=COLUMNS)
