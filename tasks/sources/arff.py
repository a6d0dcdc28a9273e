"""Read `.arff` files, Weka's format, as OpenML publishes MNIST: a header with attributes, then lines as in CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from schemas.errors import InputError, first_line
from schemas.rules import InputRules, Rules
from tasks.sources.columns import Layout, find_layout
from tasks.sources.files import check_expanded, reading
from tasks.sources.frames import Frames, collect

BLOCK_BYTES = 8 << 20
MAX_HEADER_BYTES = 1 << 20
NUMERIC = ("numeric", "real", "integer")


def read(path: Path, rules: Rules) -> Frames:
    """Read all rows of a file."""
    return collect(_read(path, rules, rules.max_expanded_mib))


def check(path: Path, rules: InputRules) -> None:
    """Raise InputError unless the attributes are those of labelled images."""
    with reading(path) as file:
        find_layout(path, _read_header(path, file), rules).check_labelled(rules)


def batches(path: Path, rules: InputRules, _n_rows: int) -> Iterator[pd.DataFrame]:
    """Read a file block by block, without a limit on its expanded size."""
    return _read(path, rules, max_mib=None)


def _read(path: Path, rules: InputRules, max_mib: int | None) -> Iterator[pd.DataFrame]:
    with reading(path) as file, _located(path):
        schema = _read_header(path, file)
        layout = find_layout(path, schema, rules)
        n_rows = 0
        for batch in _read_rows(file, schema, layout):
            check_expanded(path, file.tell(), max_mib)
            yield layout.to_frame(batch.select(layout.names), n_rows, rules)
            n_rows += batch.num_rows
    if not n_rows:
        raise InputError(f"{path}: no rows")


def _read_rows(file: IO[bytes], schema: pa.Schema, layout: Layout) -> Iterator[pa.RecordBatch]:
    types = {name: pa.string() if schema.field(name).type == pa.string() else pa.float64() for name in layout.names}
    yield from pyarrow.csv.open_csv(
        file,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=schema.names),
        parse_options=pyarrow.csv.ParseOptions(quote_char="'"),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, include_columns=layout.names, null_values=["?"], strings_can_be_null=True
        ),
    )


@contextmanager
def _located(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, StopIteration) as error:
        raise InputError(f"{path}: not a readable ARFF file ({first_line(error)})") from error


def _read_header(path: Path, file: IO[bytes]) -> pa.Schema:
    """Read the attributes; the file is then at the first row."""
    fields: list[tuple[str, pa.DataType]] = []
    while line := file.readline(MAX_HEADER_BYTES):
        words = line.decode("utf-8", "replace").strip().split(maxsplit=1)
        keyword = words[0].lower() if words else ""
        if keyword == "@data":
            return pa.schema(fields)
        if keyword == "@attribute":
            fields.append(_parse_attribute(path, words[-1]))
        if file.tell() > MAX_HEADER_BYTES:
            break
    raise InputError(f"{path}: no @DATA after the header of an ARFF file")


def _parse_attribute(path: Path, text: str) -> tuple[str, pa.DataType]:
    quote = text[0] if text[0] in "'\"" else None
    [words] = csv.reader([text], delimiter=" ", quotechar=quote or '"', skipinitialspace=True) if text else [[]]
    kind = " ".join(words[1:]).strip().lower()
    if not kind:
        raise InputError(f"{path}: an attribute without a type, {text[:40]!r}")
    return words[0], pa.float64() if kind in NUMERIC else pa.string()
