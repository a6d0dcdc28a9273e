# ruff: noqa: E501, RUF001, tables are read across, and hold digits of other scripts
"""A bad CSV or Parquet file is refused with one line that names the fault and its place."""

import gzip

import numpy as np
import pandas as pd
import pytest
import source_files
from refusals import STRICT, refused

from schemas.row_checks import ROW_CHECKS, ValidRows
from tasks.sources import csv_table, parquet_table

# ---------------------------------------------------------------------------------------------------------------- CSV


def lines(edit):
    """Edit the lines of a CSV file; line 0 is its header."""

    def apply(content):
        found = content.decode().splitlines()
        edit(found)
        return ("\n".join(found) + "\n").encode()

    return apply


def cell(line, column, value):
    def edit(found):
        cells = found[line].split(",")
        cells[column] = value
        found[line] = ",".join(cells)

    return lines(edit)


def line_of(line, change):
    def edit(found):
        found[line] = change(found[line])

    return lines(edit)


CSV = {
    "a row too short": (line_of(3, lambda line: line.rsplit(",", 1)[0]), "line 4: expected 785 columns, as in line 1, got 784"),
    "a row too long": (line_of(5, lambda line: line + ",1"), "line 6: expected 785 columns, as in line 1, got 786"),
    "a last row cut off": (lambda content: content[:-300], r"line 401: expected 785 columns, as in line 1, got \d+"),
    "text in a pixel": (cell(9, 44, "dark"), "line 10, column pixel43: expected a number, got 'dark'"),
    "text for a label": (cell(2, 0, "seven"), "line 3, column label: expected a number, got 'seven'"),
    "an Arabic digit": (cell(2, 3, "٣"), "line 3, column pixel2: expected a number, got '٣'"),
    "a full-width digit": (cell(2, 0, "７"), "line 3, column label: expected a number, got '７'"),
    "a grouped number": (cell(4, 9, "1_0"), "line 5, column pixel8: expected a number, got '1_0'"),
    "a truth value": (cell(4, 9, "true"), "line 5, column pixel8: expected a number, got 'true'"),
    "no separator": (lambda content: content.replace(b",", b"/"), "line 1: expected 785 columns, separated by commas, got one"),
    "a quote that isn't closed": (cell(4, 9, '"1'), "line 5: a quotation mark that isn't closed"),
    "a quote that isn't closed at a line's start": (cell(4, 0, '"1'), "line 5: a quotation mark that isn't closed"),
    "a quote that isn't closed in the last line": (cell(400, 9, '"1'), "line 401: a quotation mark that isn't closed"),
    "a quote that is closed lines later": (lambda content: cell(9, 9, '1"')(cell(4, 9, '"1')(content)), "line 5: a quotation mark"),
    "a header alone": (lines(lambda found: found.__delitem__(slice(1, None))), "no row"),
    "a column missing": (lines(lambda found: found.__setitem__(slice(None), [line.rsplit(",", 1)[0] for line in found])), "784 columns; expected label, pixel0 … pixel783"),
    "a column more": (lines(lambda found: found.__setitem__(slice(None), [line + ",extra" for line in found])), "786 columns; expected label, pixel0 … pixel783"),
    "no column for the label": (lines(lambda found: found.__setitem__(slice(None), [line.split(",", 1)[1] for line in found])), "'pixel0' in place of 'label' as column 1"),
    "a column of another name": (line_of(0, lambda line: line.replace("pixel9,", "pixle9,")), "'pixle9' in place of 'pixel9'"),
    "a column named twice": (line_of(0, lambda line: line.replace("pixel9,", "pixel8,")), "line 1: two columns are named 'pixel8'"),
    "three columns without names": (lambda _: b"1,2,3\n4,5,6\n", "'column 1' in place of 'label'|3 columns"),
    "zero bytes": (lambda content: content[:5000] + b"\0" + content[5001:], r"line \d+"),
    "a zero byte in the header": (lambda content: content[:50] + b"\0" + content[51:], "unknown content"),
    "another encoding": (cell(0, 0, "läbel"), "'läbel' in place of 'label'"),
    "a header that isn't UTF-8": (lambda content: b"l\xe4bel" + content[5:], "line 1, byte 1: not UTF-8 text"),
    "a cell that isn't UTF-8": (lambda content: content[:-2] + b"\xe4\n", r"line 401, column pixel783: expected a number"),
    "a label of -1": (cell(3, 0, "-1"), "train 2: label unknown"),
    "a label of 3.5": (cell(3, 0, "3.5"), "train 2: label unknown"),
    "a label of inf": (cell(3, 0, "inf"), "train 2: label unknown"),
    "an empty label": (cell(3, 0, ""), "train 2: label missing"),
    "a label of NaN": (cell(3, 0, "NaN"), "train 2: label missing"),
    "an empty pixel": (cell(1, 7, ""), "train 0: pixel missing"),
    "a pixel of nan": (cell(1, 7, "nan"), "train 0: pixel missing"),
    "a pixel of inf": (cell(400, 7, "inf"), "train 399: pixel not finite"),
    "a pixel of -inf": (cell(400, 7, "-inf"), "train 399: pixel not finite"),
    "a pixel of 1e400": (cell(1, 7, "1e400"), "train 0: pixel not finite"),
    "a pixel of 256": (cell(1, 784, "256"), "train 0: pixel out of range"),
    "a pixel of -1": (cell(1, 1, "-1"), "train 0: pixel out of range"),
    "a pixel of 3.5": (cell(1, 7, "3.5"), "train 0: pixel not whole"),
    "two faults in a row": (lambda content: cell(1, 0, "")(cell(1, 7, "3.5")(content)), "train 0: label missing; pixel not whole"),
    "an image hardly inked": (line_of(6, lambda _: ",".join(["5"] + ["40"] * 784)), "train 5: blank"),
}  # fmt: skip


@pytest.mark.parametrize("share", [csv_table.THREAD_BYTES, 1 << 14])
@pytest.mark.parametrize("name", CSV)
def test_bad_csv_file_is_refused(name, share, digits, tmp_path, monkeypatch):
    """Parsed by one thread, and by several of pyarrow's threads."""
    monkeypatch.setattr(csv_table, "THREAD_BYTES", share)
    damage, expected = CSV[name]
    path = source_files.csv(digits, tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    refused(path, expected, rules=STRICT)


GZIPPED = {
    "cut short": (lambda content: gzip.compress(content)[:-100], "can't be read"),
    "damaged": (lambda content: gzip.compress(content)[:2000] + b"\0" * 50 + gzip.compress(content)[2050:], "can't be read|line"),
    "nothing in it": (lambda _: gzip.compress(b""), "line 1: expected 785 columns, a label and 784 pixels, got 0"),
    "a bomb": (lambda content: gzip.compress(content + b"0" * 3_000_000), "MiB or more once expanded; --max-expanded-mib allows 1"),
    "random bytes": (lambda _: b"\x1f\x8b" + bytes(range(200)), "can't be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", GZIPPED)
def test_bad_gzipped_csv_file_is_refused(name, digits, tmp_path):
    damage, expected = GZIPPED[name]
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(damage(source_files.csv(digits, tmp_path).read_bytes()))
    refused(path, expected)


@pytest.mark.parametrize("name", ROW_CHECKS)
def test_row_that_fails_a_check_is_located_in_a_csv_file(name, digits, tmp_path):
    (tmp_path / "test").mkdir()
    test = source_files.csv(digits.iloc[300:], tmp_path / "test")
    frame = digits.iloc[:300].astype(float)
    frame.iloc[200] = ROW_CHECKS[name].example(ValidRows(*(digits.iloc[row].to_numpy(float) for row in (200, 4, 300))))
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    refused(path, f"of 300 train rows had to be quarantined .*train 200: {name}", STRICT, test)


# ------------------------------------------------------------------------------------------------------------ Parquet


def table(**changes):
    return lambda frame, path: frame.assign(**changes).to_parquet(path)


PARQUET = {
    "cut short": (lambda frame, path: path.write_bytes(source_files.parquet(frame, path.parent).read_bytes()[:-9]), "not a readable Parquet"),
    "its magic number alone": (lambda _, path: path.write_bytes(b"PAR1"), "not a readable Parquet"),
    "damaged pages": (lambda frame, path: path.write_bytes(source_files.parquet(frame, path.parent).read_bytes().replace(b"\x15", b"\xff", 500)), "not a readable Parquet"),
    "words": (table(pixel7="dark"), "column pixel7: expected numbers, got .*string"),
    "dates": (table(label=pd.Timestamp("2026-01-01")), "column label: expected numbers, got timestamp"),
    "lists": (lambda frame, path: frame.assign(pixel7=[[1, 2]] * len(frame)).to_parquet(path), "column pixel7: expected numbers, got list"),
    "a column missing": (lambda frame, path: frame.drop(columns="pixel7").to_parquet(path), "'pixel8' in place of 'pixel7'"),
    "no rows": (lambda frame, path: frame.iloc[:0].to_parquet(path), "no rows"),
    "a null": (table(pixel7=lambda frame: frame["pixel7"].astype("Int64").mask(frame.index == 3)), "train 3: pixel missing"),
    "a fraction": (table(pixel7=lambda frame: np.where(frame.index == 3, 0.25, 0)), "train 3: pixel not whole"),
    "a large number": (table(label=lambda frame: np.where(frame.index == 3, 2**40, frame["label"].astype("int64"))), "train 3: label unknown"),
}  # fmt: skip


@pytest.mark.parametrize("small_bytes", [0, parquet_table.SMALL_BYTES])
@pytest.mark.parametrize("name", PARQUET)
def test_bad_parquet_file_is_refused(name, small_bytes, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_table, "SMALL_BYTES", small_bytes)
    write, expected = PARQUET[name]
    write(digits, tmp_path / "bad.parquet")
    refused(tmp_path / "bad.parquet", expected, rules=STRICT)


def test_parquet_file_that_expands_too_much_is_refused(digits, tmp_path):
    many = pd.concat([digits] * 5)
    refused(source_files.parquet(many, tmp_path), "MiB or more once expanded; --max-expanded-mib allows 1")
