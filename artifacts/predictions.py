"""The file of predictions, one line an image, CSV or Parquet: written batch by batch, there whole or not at all."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from artifacts.files import new_file
from schemas.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from schemas.prediction import Answers

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


def check(path: Path, source: str) -> None:
    """Raise InputError unless predictions can be written to a path."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"--output {path}: {' or '.join(SUFFIXES)} is allowed")
    if path.resolve() == Path(source).resolve():
        raise InputError(f"--output {path}: the input itself; another file is needed")
    if path.is_dir():
        raise InputError(f"--output {path}: a folder; a file is needed")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return
    except OSError as error:
        raise InputError(f"--output {path}: can't be written ({error.strerror})") from error


@contextmanager
def writer(path: Path) -> Iterator[Callable[[Answers], None]]:
    """Give what appends answers to a file, which is there when the `with` ends well."""
    kind = pyarrow.parquet.ParquetWriter if path.suffix == ".parquet" else pyarrow.csv.CSVWriter
    with new_file(path) as temporary, kind(temporary, COLUMNS) as sink:
        yield lambda answers: sink.write_table(_table(answers))


def _table(answers: Answers) -> pa.Table:
    """Put answers into columns; an image without an answer has no label, confidence or second."""
    none = answers.reason != ""
    return pa.table(
        [
            answers.items.astype(str),
            pa.array(answers.label, mask=none),
            pa.array(answers.confidence, mask=none),
            pa.array(answers.second, mask=none),
            answers.abstained,
            answers.unlike_training,
        ],
        schema=COLUMNS,
    )
