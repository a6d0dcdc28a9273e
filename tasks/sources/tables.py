"""Read tables of one image a row, `.csv`, `.csv.gz` and `.parquet`, with pyarrow."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from schemas.digits import PIXEL_COUNT
from schemas.errors import InputError
from schemas.pixel_frame import LABELLED_COLUMNS, PIXEL_COLUMNS
from tasks.sources.catalogue import GZIP
from tasks.sources.frames import Frames, of_table, wanted

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

    from numpy.typing import NDArray

    from schemas.rules import Rules

BLOCK = 8 << 20
MOST_COLUMNS = 10_000
LONGEST_LINE = 1 << 20
_PLACE = re.compile(r"(?:In CSV column #(\d+): )?(?:CSV parse error: )?Row #(\d+): (.*)", re.DOTALL)
_VALUE = re.compile(r"invalid value '(.*)'", re.DOTALL)
_COUNTS = re.compile(r"Expected (\d+) columns, got (\d+)")


def read_csv(path: Path, rules: Rules) -> Frames:
    """Give the one frame of a CSV file, gzipped or not, with a header or without one (the label first then)."""
    layout = _layout(path)
    try:
        table = _parsed(path, rules, layout, pa.uint8())
        if not any(column.null_count for column in table.columns):
            return Frames(of_table(*_values(table)))
    except pa.ArrowInvalid:
        pass  # rarer kinds of number, or a fault; without threads pyarrow tells in which line
    try:
        return Frames(of_table(*_values(_parsed(path, rules, layout, pa.float64(), threads=False))))
    except pa.ArrowException as error:
        raise InputError(f"{path}: {_told(str(error), layout.names)}") from error


def read_parquet(path: Path, rules: Rules) -> Frames:
    """Give the one frame of a Parquet file."""
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
            kept = [schema.names[position] for position in wanted(schema.names)]
            for name in kept:
                kind = schema.field(name).type
                if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
                    raise InputError(f"{path}: column {name!r} holds {kind}; numbers are needed")
            expanded = rows * sum(schema.field(name).type.bit_width for name in kept) // 8
            if expanded > rules.max_expanded_mib << 20:
                raise InputError(_too_large(path, rules, expanded))
            table = file.read(columns=kept).select(kept)
        return Frames(of_table(*_values(_narrowed(table))))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({_first_line(error)})") from error


class _Bounded(io.RawIOBase):
    """A stream that ends with an InputError where more comes out of it than is allowed."""

    def __init__(self, path: Path, stream: IO[bytes], rules: Rules) -> None:
        self._path, self._stream, self._rules, self._given = path, stream, rules, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._stream.read(len(buffer))
        buffer[: len(content)] = content
        self._given += len(content)
        if self._given > self._rules.max_expanded_mib << 20:
            raise InputError(_too_large(self._path, self._rules, self._given))
        return len(content)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        gzipped = file.read(len(GZIP)) == GZIP
    return gzip.open(path, "rb") if gzipped else path.open("rb")  # type: ignore[return-value]


class _Layout(NamedTuple):
    """The columns' names, and whether the file's first line is where they stand."""

    names: list[str]
    header: bool


def _layout(path: Path) -> _Layout:
    try:
        with _open(path) as file:
            first = file.readline(LONGEST_LINE).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: line 1, byte {error.start}: not UTF-8 text") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: can't be read ({_first_line(error)})") from error
    try:
        fields = next(csv.reader([first]), []) if "\0" not in first else []
    except csv.Error as error:
        raise InputError(f"{path}: line 1 isn't one of a CSV file ({_first_line(error)})") from error
    if not fields or len(fields) > MOST_COLUMNS:
        raise InputError(f"{path}: line 1 has {len(fields):,} columns; 785 are needed, a label and 784 pixels")
    if len(fields) == 1:
        raise InputError(f"{path}: line 1 has one column; 785 are needed, separated by commas")
    fields = [field.strip() for field in fields]
    if any(_is_number(field) for field in fields):
        by_count = {PIXEL_COUNT + 1: LABELLED_COLUMNS, PIXEL_COUNT: PIXEL_COLUMNS}
        unknown = tuple(f"column {number}" for number in range(1, len(fields) + 1))
        return _Layout(list(by_count.get(len(fields), unknown)), header=False)
    twice = {name for name in fields if fields.count(name) > 1} if len(set(fields)) < len(fields) else set()
    if twice:
        raise InputError(f"{path}: line 1 names column {min(twice)!r} more than once")
    return _Layout(fields, header=True)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _parsed(path: Path, rules: Rules, layout: _Layout, kind: pa.DataType, *, threads: bool = True) -> pa.Table:
    kept = [layout.names[position] for position in wanted(layout.names)]
    try:
        with _Bounded(path, _open(path), rules) as stream:
            return pyarrow.csv.read_csv(
                pa.PythonFile(stream, mode="r"),
                read_options=pyarrow.csv.ReadOptions(
                    use_threads=threads, block_size=BLOCK, column_names=layout.names, skip_rows=int(layout.header)
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(kept, kind), include_columns=kept, strings_can_be_null=True
                ),
            )
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, pa.ArrowException):
            raise
        raise InputError(f"{path}: can't be read ({_first_line(error)})") from error


def _told(fault: str, names: list[str]) -> str:
    """Tell pyarrow's fault in the words of a person who has the file open in an editor."""
    if "Empty CSV" in fault:
        return "no row"
    place = _PLACE.search(fault)
    if not place:
        return f"not a readable CSV file ({fault.splitlines()[0]})"
    column, line, rest = place.groups()
    value, counts = _VALUE.search(rest), _COUNTS.search(rest)
    if value and column:
        name = names[int(column)] if int(column) < len(names) else f"column {int(column) + 1}"
        return f"line {line}, {name}: {value.group(1)[:40]!r}; a number is needed"
    if counts:
        return f"line {line}: {counts.group(2)} columns; {counts.group(1)} are needed, as in line 1"
    return f"line {line}: {rest.splitlines()[0][:200]}"


def _narrowed(table: pa.Table) -> pa.Table:
    """Cast all columns to `uint8` where that loses nothing, else to `float64`."""
    if not any(column.null_count for column in table.columns):
        try:
            return table.cast(pa.schema([(name, pa.uint8()) for name in table.column_names]))
        except pa.ArrowInvalid:
            pass
    return table.cast(pa.schema([(name, pa.float64()) for name in table.column_names]), safe=False)


def _values(table: pa.Table) -> tuple[list[str], NDArray[np.generic]]:
    """Give the names and one array, rows × columns; nulls are NaN."""
    kind = np.uint8 if all(column.type == pa.uint8() for column in table.columns) else np.float64
    values = np.empty((table.num_rows, table.num_columns), kind)
    start = 0
    for batch in table.to_batches(max_chunksize=8192):
        part = values[start : start + batch.num_rows]
        for position, column in enumerate(batch.columns):
            part[:, position] = column.to_numpy(zero_copy_only=False)
        start += batch.num_rows
    return table.column_names, values


def _too_large(path: Path, rules: Rules, size: int) -> str:
    return f"{path}: {size >> 20:,} MiB or more once expanded; --max-expanded-mib allows {rules.max_expanded_mib:,}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
