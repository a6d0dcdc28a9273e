"""The file of predictions, one line an image, CSV or Parquet: written batch by batch, there whole or not at all."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from artifacts.files import new_file
from schemas.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from schemas.prediction import PredictionBatch

SUFFIXES = (".csv", ".parquet")
COLUMNS = pa.schema(
    [
        ("item", pa.string()),
        ("label", pa.uint8()),
        ("confidence", pa.float32()),
        ("second", pa.uint8()),
        ("abstained", pa.bool_()),
        ("unlike_training", pa.bool_()),
    ]
)


def check(path: Path) -> None:
    """Raise InputError unless predictions can be written to a path."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"--output {path}: {' or '.join(SUFFIXES)} is allowed")
    try:
        if path.is_dir():
            raise InputError(f"--output {path}: a folder; a file is needed")
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            return
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def writer(path: Path) -> Iterator[Callable[[PredictionBatch], None]]:
    """Give what appends answers to a file, which is there when the `with` ends well.

    Raises InputError when it can't be written, because the disk is full, say.
    """
    kind = pyarrow.parquet.ParquetWriter if path.suffix == ".parquet" else pyarrow.csv.CSVWriter
    try:
        with new_file(path.resolve()) as temporary, kind(temporary, COLUMNS) as sink:  # a link stays one
            yield lambda answers: sink.write_table(_table(answers))
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"--output {path}: can't be written ({error.strerror or error})")


def _table(answers: PredictionBatch) -> pa.Table:
    """Put answers into columns; an image without an answer has none but its name, and that it is abstained from."""
    none = answers.reason != ""
    return pa.table(
        [
            answers.items.astype(str),
            pa.array(answers.label, mask=none),
            pa.array(answers.confidence, mask=none),
            pa.array(answers.second, mask=none),
            answers.abstained,
            pa.array(answers.unlike_training, mask=none),
        ],
        schema=COLUMNS,
    )
