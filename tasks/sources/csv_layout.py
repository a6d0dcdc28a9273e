"""Recognise the layout of a CSV file: separator, header, and which columns hold the label and the pixels.

Names decide where there are any. Otherwise the content does: labels are 0 to 9, and a corner of a digit's image is
nearly always background. Where two readings are possible, the file is refused with the flags that decide.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.digits import CLASSES
from schemas.errors import InputError, first_line
from schemas.rules import InputRules
from tasks.sources.csv_text import SAMPLE_BYTES, TextForm, read_blocks, read_sample
from tasks.sources.frames import (
    check_unique,
    data_columns,
    find_named_label,
    is_known_layout,
    is_label_name,
    is_sequence,
)
from tasks.sources.sizes import PIXEL_COUNTS
from tasks.sources.tables import Layout

SEPARATORS = {";": "semicolon", "\t": "tab", "|": "|", ",": "comma", " ": "space"}
"""Names of separators. The first that is in a line is its separator: a comma may be decimal, a space follow one."""
MAX_COLUMNS = 10_000
MAX_SEARCH_BYTES = 256 << 20
"""First bytes of a file that are read to find the label, if its first rows don't show it."""
MIN_HEADER_NUMBERS = 16
"""Columns that are numbered in ascending order are a header from this number on."""
BORDER_SHARE = 0.9
"""Share of equal values from which a column may be a corner of the images: background."""
MAX_LABELS = 100


class Beginning(NamedTuple):
    """A file's first lines; `fields` are those of the header or the first row, which follows the preamble.

    A comment can be the header: NumPy's `savetxt` writes it so.
    """

    path: Path
    form: TextForm
    separator: str
    n_preamble: int
    lines: list[str]
    fields: list[str]
    has_header: bool
    has_comment_header: bool

    @property
    def n_skip(self) -> int:
        """The number of lines before the first row."""
        return self.n_preamble + (self.has_header and not self.has_comment_header)

    @property
    def header(self) -> bytes:
        """The header's line."""
        return self.lines[self.n_skip - 1].encode("utf-8", "surrogateescape").strip() if self.has_header else b""

    @property
    def is_nameless(self) -> bool:
        """Whether the columns have no names, or numbers in place of them."""
        return not self.has_header or all(map(str.isdecimal, filter(None, self.fields)))

    def read_column(self, position: int, n_bytes: int = SAMPLE_BYTES) -> NDArray[np.float64]:
        """Read a column of the whole lines within a file's first bytes."""
        values, n_read = [], 0
        for _, block in read_blocks(self.path, self.form, self.n_skip):
            lines = block[: n_bytes - n_read].splitlines()
            n_read += len(block)
            whole = lines if n_read <= n_bytes else lines[:-1]
            values += [_cell(line, position, len(self.fields), self.separator.encode()) for line in whole if line]
            if n_read >= n_bytes:
                break
        return np.array(values, np.float64)


class CsvLayout(NamedTuple):
    """The layout of a file.

    `columns` has the positions of the table's columns among all, which are named by `names`. With `has_text_label`,
    labels may be words. `note` says what was guessed.
    """

    table: Layout
    begin: Beginning
    decimal_point: str
    names: list[str]
    columns: list[int]
    has_text_label: bool
    note: str


def read_layout(path: Path, rules: InputRules) -> CsvLayout:
    """Return a file's layout; raise InputError, with the flags that help, if it can be read in two ways."""
    begin = _read_beginning(path, rules)
    names = begin.fields if begin.has_header else [f"column {number}" for number in range(1, len(begin.fields) + 1)]
    label = find_named_label(str(path), names, rules.label_column)
    columns, has_label = _find_columns(begin, names, label)
    data_names = [names[position] for position in columns]
    n_pixels = len(columns) - has_label
    if n_pixels in PIXEL_COUNTS and (begin.is_nameless or label is not None):  # the names needn't say so
        data_names = ["label"] * has_label + [f"pixel{number}" for number in range(n_pixels)]
    rows = "" if begin.separator == "," else "".join(begin.lines[begin.n_skip :])
    return CsvLayout(
        table=Layout(path, data_names, has_label),
        begin=begin,
        decimal_point="," if "," in rows and "." not in rows else ".",
        names=names,
        columns=columns,
        has_text_label=has_label and _is_text(begin, columns[0]),
        note=_note(begin, names, columns, has_label=has_label),
    )


def _note(begin: Beginning, names: list[str], columns: list[int], *, has_label: bool) -> str:
    """Return what was guessed, in words; "" if names and commas leave nothing to guess."""
    used = set(columns)
    left_out = [name or f"column {number}" for number, name in enumerate(names, 1) if number - 1 not in used]
    is_plain = begin.separator == "," and not begin.form.encoding and not begin.n_preamble
    if is_plain and not begin.is_nameless and not left_out and is_known_layout(names):
        return ""
    parts = [
        f"label: column {columns[0] + 1}" if has_label else "label: none",
        f"header: {'yes' if begin.has_header else 'no'}",
    ]
    if begin.separator != ",":
        parts.append(f"separator: {SEPARATORS.get(begin.separator, begin.separator)}")
    if begin.form.encoding == "utf-16":
        parts.append("text: UTF-16")
    if begin.n_preamble:
        parts.append(f"lines left out: {begin.n_preamble}")
    if left_out:
        parts.append(f"columns left out: {', '.join(left_out)}")
    return "; ".join(parts)


def _read_beginning(path: Path, rules: InputRules) -> Beginning:
    form, lines = read_sample(path)
    separator, comment, number = "", "", 0
    for number, line in enumerate(lines):  # noqa: B007, used below
        if line[:4].casefold() == "sep=" and not separator:  # Excel's hint
            separator = line[4:5]
        elif line.startswith("#"):
            comment = line.lstrip("# ")
        elif line.strip():
            break
    separator = separator or next((mark for mark in SEPARATORS if mark in lines[number].strip()), ",")
    fields = _split(path, number, lines[number], separator)
    names = _split(path, 0, comment, separator)
    has_comment_header = len(names) == len(fields) and is_known_layout(names)
    _check_fields(path, number, fields, separator)
    fields = names if has_comment_header else fields
    has_header = has_comment_header or (_is_header(fields) if rules.header == "auto" else rules.header == "yes")
    has_runs = separator == " " and any("  " in line or line != line.strip() for line in lines)
    form = form._replace(squeeze=has_runs)
    return Beginning(path, form, separator, number, lines, fields, has_header, has_comment_header)


def _split(path: Path, number: int, line: str, separator: str) -> list[str]:
    where = f"{path}, line {number + 1}"
    try:
        line.encode()
        fields = next(csv.reader([line.strip(" ")], delimiter=separator, skipinitialspace=separator == " "), [])
    except UnicodeEncodeError as error:
        raise InputError(f"{where}, byte {error.start}: not UTF-8 text; save it as UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{where}: not a line of a CSV file ({first_line(error)})") from error
    return [] if "\0" in line else [field.strip() for field in fields]


def _check_fields(path: Path, number: int, fields: Sequence[str], separator: str) -> None:
    where = f"{path}, line {number + 1}"
    if len(fields) == 1:
        raise InputError(
            f"{where}: expected 785 columns, separated by {SEPARATORS.get(separator, separator)}s, got one"
        )
    if not fields or len(fields) > MAX_COLUMNS:
        raise InputError(f"{where}: expected 785 columns, a label and 784 pixels, got {len(fields):,}")


def _is_header(fields: Sequence[str]) -> bool:
    """Check whether a line has names, or the numbers that pandas gives to columns."""
    if is_known_layout(fields):
        return True
    numbers = [number for number in map(parse_number, fields) if number is not None]
    return not numbers or (len(numbers) >= MIN_HEADER_NUMBERS and is_sequence(numbers))


def parse_number(field: str) -> float | None:
    """Return a field's number, or None."""
    try:
        number = float(field)
    except ValueError:
        return None
    return number if field.isascii() and "_" not in field else None  # as pyarrow


def _find_columns(begin: Beginning, names: list[str], label: int | None) -> tuple[list[int], bool]:
    """Return the positions of the columns to read, and whether the first of them is the label."""
    data = data_columns(names, label)
    has_label = label is not None or is_label_name(names[data[0]]) if data else False
    if not (label is None and begin.has_header and is_known_layout(names)):
        pixels = _trim(begin, data[has_label:])
        if not has_label and begin.is_nameless and len(pixels) - 1 in PIXEL_COUNTS:
            return _put_label_first(begin, pixels), True
        data = [*data[:has_label], *pixels]
    if not begin.is_nameless:
        check_unique([names[position] for position in data], f"{begin.path}, line {begin.n_skip}")
    return data, has_label


def _trim(begin: Beginning, pixels: list[int]) -> list[int]:
    """Leave out a last column without values and, without names, a first one that only numbers the rows."""
    if len(pixels) > 1 and pixels[-1] == len(begin.fields) - 1 and np.isnan(begin.read_column(pixels[-1])).all():
        pixels = pixels[:-1]
    if begin.is_nameless and len(pixels) > 1:
        first = begin.read_column(pixels[0]).tolist()
        return pixels[1:] if len(first) > len(CLASSES) and is_sequence(first) else pixels
    return pixels


def _put_label_first(begin: Beginning, columns: list[int]) -> list[int]:
    """Return columns, of which the first or the last is the label; raise InputError if both could be."""
    first, *_, last = columns
    for n_bytes in (SAMPLE_BYTES, MAX_SEARCH_BYTES):  # the first rows may be of one class
        number = _choose_label(begin.read_column(first, n_bytes), begin.read_column(last, n_bytes))
        if number is not None:
            return columns if number == 0 else [last, *columns[:-1]]
    numbers = f"{first + 1} or {last + 1}"
    raise InputError(f"{begin.path}: column {numbers} may be the label; tell it by --label-column {numbers}")


def _cell(line: bytes, position: int, n_columns: int, separator: bytes) -> float:
    """Return a cell's number; NaN if it is empty, infinite if it is text."""
    from_end = n_columns - 1 - position
    if position < from_end:
        cells, number = line.split(separator, position + 1), position
    else:
        cells, number = line.rsplit(separator, from_end + 1)[::-1], from_end
    text = cells[number].decode("ascii", "replace").strip(' "') if number < len(cells) else ""
    value = parse_number(text.replace(",", "."))
    return (np.inf if text else np.nan) if value is None else value


def _is_text(begin: Beginning, position: int) -> bool:
    """Check whether a column's cell in the first row is text."""
    row = next((line for line in islice(begin.lines, begin.n_skip, None) if line.strip()), "")
    cell = _cell(row.encode("utf-8", "surrogateescape"), position, len(begin.fields), begin.separator.encode())
    return math.isinf(cell)


def _choose_label(*columns: NDArray[np.float64]) -> int | None:
    """Return the number of the one of two columns that holds labels; None if both, or none, could."""
    first, last = map(_describe, columns)
    pairs = ((0, first, last), (1, last, first))
    varied = [number for number, column, _ in pairs if column.may_be_label and not column.is_border]
    if len(varied) == 1:
        _, column, other = pairs[varied[0]]
        return varied[0] if column.is_digit or other.is_border else None
    of_one_class = [
        number
        for number, column, other in pairs
        if column.is_digit and column.is_border and column.usual > 0 and other.is_border and other.usual == 0
    ]
    return of_one_class[0] if not varied and len(of_one_class) == 1 else None


class _Column(NamedTuple):
    may_be_label: bool
    is_digit: bool
    is_border: bool
    usual: float


def _describe(values: NDArray[np.float64]) -> _Column:
    values = values[np.isfinite(values)]
    distinct, counts = np.unique(values, return_counts=True)
    if not len(distinct):
        return _Column(may_be_label=False, is_digit=False, is_border=True, usual=np.nan)
    may_be_label = bool((distinct == np.rint(distinct)).all() and distinct[0] >= 0 and distinct[-1] < MAX_LABELS)
    return _Column(
        may_be_label=may_be_label,
        is_digit=may_be_label and bool(distinct[-1] < len(CLASSES)),
        is_border=bool(counts.max() >= BORDER_SHARE * len(values)),
        usual=float(distinct[counts.argmax()]),
    )
