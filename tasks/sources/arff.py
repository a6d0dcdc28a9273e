"""Read `.arff` files, Weka's format, as OpenML publishes MNIST: a header with attributes, then lines as in CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv

from schemas.errors import InputError
from schemas.rules import InputRules
from tasks.sources.files import check_expanded, reading
from tasks.sources.tables import Batch, Layout, Table, TableReader, find_layout

BLOCK_BYTES = 8 << 20
MAX_HEADER_BYTES = 1 << 20
NUMERIC = ("numeric", "real", "integer")


@contextmanager
def _open(path: Path, rules: InputRules) -> Iterator[Table]:
    with reading(path) as file:
        schema = _read_header(path, file)
        layout = find_layout(path, schema, rules)
        yield Table(layout, partial(_read, file, schema, layout), [])


def _read(
    file: IO[bytes], schema: pa.Schema, layout: Layout, _n_rows: int | None, max_mib: int | None
) -> Iterator[Batch]:
    types = {name: pa.string() if schema.field(name).type == pa.string() else pa.float64() for name in layout.names}
    for batch in pyarrow.csv.open_csv(
        file,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=schema.names),
        parse_options=pyarrow.csv.ParseOptions(quote_char="'"),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, include_columns=layout.names, null_values=["?"], strings_can_be_null=True
        ),
    ):
        check_expanded(layout.path, file.tell(), max_mib)
        yield batch


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


READER = TableReader("ARFF", _open)
read, check, batches = READER.read, READER.check, READER.batches
