"""Name files that no reader reads, by their first bytes: people have them in place of data, and need to know."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from tasks.sources.files import starts

TEXT_HEAD = 256


class Foreign(NamedTuple):
    """A kind of file: how it is recognised, its name, and what to do."""

    matches: Callable[[bytes], bool]
    name: str
    advice: str


def matches(pattern: bytes) -> Callable[[bytes], bool]:
    """Return a function that matches a pattern at the beginning of text, in lower case, without white space."""
    compiled = re.compile(pattern)
    return lambda head: compiled.match(head[:TEXT_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip().lower()) is not None


ARRAYS = "save its arrays with numpy.savez(path, x=…, y=…)"
UNPACK = "unpack it"
TO_CSV = "convert it to CSV, as with pandas.read_json"

FOREIGN: tuple[Foreign, ...] = (
    Foreign(lambda head: not head.strip(b"\0"), "nothing but zero bytes", "download or copy it again"),
    Foreign(matches(rb"<!doctype html|<html|<head"), "an HTML page", "log in where it is from, and download the file"),
    Foreign(matches(rb"<\?xml"), "an XML document", "download the file of data"),
    Foreign(starts(b"version https://git-lfs"), "a Git LFS pointer", "fetch the file itself: git lfs pull"),
    Foreign(matches(rb"(\.\./)*\.git/annex/|/annex/objects/"), "a git-annex pointer", "fetch the file: git annex get"),
    Foreign(matches(rb"outs:\s*\n- md5:"), "a DVC pointer", "fetch the file itself: dvc pull"),
    Foreign(matches(rb"\{\s*(\"|\})"), "JSON lines or a JSON object", f"{TO_CSV}(…, lines=True)"),
    Foreign(matches(rb"\[\s*[\[{\"\d]"), "JSON", TO_CSV),
    Foreign(starts(b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), "a pickle, which may run code", ARRAYS),
    Foreign(matches(rb"p[1-6]\s"), "a PBM, PGM or PPM picture", "save it as PNG"),
    Foreign(starts(b"%PDF"), "a PDF", "save its pictures as PNG"),
    Foreign(starts(b"\xd0\xcf\x11\xe0"), "an Excel or Word file of before 2007", "save the table as CSV"),
    Foreign(starts(b"SQLite format 3"), "an SQLite database", "export the table as CSV"),
    Foreign(starts(b"FEA1"), "a Feather file of version 1", "write it as Parquet"),
    Foreign(starts(b"Obj\x01"), "an Avro file", "write it as Parquet"),
    Foreign(starts(b"ORC"), "an ORC file", "write it as Parquet"),
    Foreign(starts(b"Rar!"), "a RAR archive", UNPACK),
    Foreign(starts(b"7z\xbc\xaf\x27\x1c"), "a 7-Zip archive", UNPACK),
    Foreign(starts(b"\x28\xb5\x2f\xfd"), "a file compressed by Zstandard", UNPACK),
    Foreign(starts(b"\x04\x22\x4d\x18"), "a file compressed by LZ4", UNPACK),
    Foreign(starts(b"\x7fELF", b"MZ\x90"), "a program", "use a file of data"),
)  # fmt: skip
ZIPPED: tuple[tuple[str, str, str], ...] = (
    (r"xl/", "an Excel file", "save the table as CSV"),
    (r"word/", "a Word file", "save its pictures as PNG"),
    (r"ppt/", "a PowerPoint file", "save its pictures as PNG"),
    (r"[^/]+/data\.pkl$", "a file of PyTorch, a pickle that may run code", ARRAYS),
    (r"model\.weights\.h5$", "a Keras model", "use a file of data"),
    (r"META-INF/MANIFEST\.MF$", "a Java archive", "use a file of data"),
    (r"content\.xml$", "an OpenDocument file", "save the table as CSV"),
)
"""Zip archives that are such files: a pattern of the name of a member, the name, and what to do."""


def describe_head(head: bytes) -> str:
    """Return what a file is, with advice, by its first bytes; "" for a file that a reader may read."""
    return next((f"{kind.name}; {kind.advice}" for kind in FOREIGN if kind.matches(head)), "")


def describe_members(names: list[str]) -> str:
    """Return what a zip archive is, with advice, by its members; "" for one that may be an archive of data."""
    for pattern, name, advice in ZIPPED:
        if any(re.match(pattern, member) for member in names):
            return f"{name}; {advice}"
    return ""
