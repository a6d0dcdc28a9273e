"""Read the lines of a CSV file as UTF-8, whatever its encoding and line ends are."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from schemas.errors import InputError
from tasks.sources.files import check_expanded, reading

BLOCK_BYTES = 8 << 20
SAMPLE_BYTES = 1 << 20
"""First bytes of a file by which its layout is recognised."""
MAX_LINE_BYTES = 1 << 20


class TextForm(NamedTuple):
    """The form of a file's text.

    `encoding` is empty if the bytes can be parsed as they are. With `squeeze`, numbers are aligned by several spaces.
    """

    encoding: str = ""
    squeeze: bool = False


def read_sample(path: Path) -> tuple[TextForm, list[str]]:
    """Return the form of a file's text, and its first whole lines; bytes that aren't text are escaped."""
    with reading(path) as file:
        head = file.read(SAMPLE_BYTES)
    encoding = ""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\r" in head and b"\n" not in head:  # line ends of an old Mac
        encoding = "utf-8-sig"
    text = head.decode(encoding or "utf-8-sig", "surrogateescape" if encoding != "utf-16" else "replace")
    lines = re.split(r"\r\n|\n|\r", text)
    return TextForm(encoding), lines[:-1] if len(lines) > 1 and (len(head) == SAMPLE_BYTES or not lines[-1]) else lines


def read_blocks(path: Path, form: TextForm, n_skip: int, max_mib: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Read a file in blocks of whole lines, after `n_skip` lines; also yield the number of lines before each block."""
    n_bytes, n_lines, rest = 0, 0, b""
    for chunk in _read_chunks(path, form):
        n_bytes += len(chunk)
        check_expanded(path, n_bytes, max_mib)
        lines, newline, rest = (rest + chunk).rpartition(b"\n")
        block = lines + newline
        if len(rest) > MAX_LINE_BYTES:
            line = n_lines + block.count(b"\n") + 1
            raise InputError(f"{path}: line {line:,} is longer than {MAX_LINE_BYTES:,} bytes")
        while block and n_lines < n_skip:
            block = block.partition(b"\n")[2]
            n_lines += 1
        if block:
            yield n_lines, _squeeze(block, form)
            n_lines += block.count(b"\n")
    if rest and n_lines >= n_skip:
        yield n_lines, _squeeze(rest, form)


def _squeeze(block: bytes, form: TextForm) -> bytes:
    return re.sub(rb"(?m)^ +| +$|(?<= ) +", b"", block) if form.squeeze else block


def _read_chunks(path: Path, form: TextForm) -> Iterator[bytes]:
    """Read a file as UTF-8, without a byte order mark, and with a line feed after each line."""
    with reading(path) as file:
        if not form.encoding:
            yield file.read(BLOCK_BYTES).removeprefix(codecs.BOM_UTF8)
            yield from iter(lambda: file.read(BLOCK_BYTES), b"")
            return
        errors = "strict" if form.encoding == "utf-16" else "surrogateescape"
        text = io.TextIOWrapper(file, form.encoding, errors)
        try:
            yield from (piece.encode("utf-8", errors) for piece in iter(lambda: text.read(BLOCK_BYTES), ""))
        except UnicodeError as error:
            raise InputError(f"{path}: not {form.encoding.removesuffix('-sig').upper()} text") from error
