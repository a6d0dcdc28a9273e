"""Read the lines of a CSV file as UTF-8, whatever its encoding and line ends are."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

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
    n_bytes, n_lines, rest = 0, n_skip, b""
    with _open(path, form) as file:
        for _ in range(n_skip):
            file.readline(MAX_LINE_BYTES)
        while chunk := file.read(BLOCK_BYTES):
            chunk = chunk if n_bytes else chunk.removeprefix(codecs.BOM_UTF8)
            n_bytes += len(chunk)
            check_expanded(path, n_bytes, max_mib)
            lines, newline, rest = (rest + chunk).rpartition(b"\n")
            if len(rest) > MAX_LINE_BYTES:
                n_lines += lines.count(b"\n") + bool(newline) + 1
                raise InputError(f"{path}: line {n_lines:,} is longer than {MAX_LINE_BYTES:,} bytes")
            if newline:
                yield n_lines, _squeeze(lines + newline, form)
                n_lines += lines.count(b"\n") + 1
    if rest:
        yield n_lines, _squeeze(rest, form)


def _squeeze(block: bytes, form: TextForm) -> bytes:
    return re.sub(rb"(?m)^ +| +$|(?<= ) +", b"", block) if form.squeeze else block


@contextmanager
def _open(path: Path, form: TextForm) -> Iterator[IO[bytes]]:
    with reading(path) as file:
        if not form.encoding:
            yield file
            return
        try:
            yield cast("IO[bytes]", _Utf8Lines(file, form.encoding))
        except UnicodeError as error:
            raise InputError(f"{path}: not {form.encoding.removesuffix('-sig').upper()} text") from error


class _Utf8Lines:
    """Text of another encoding or with other line ends, read as UTF-8 with a line feed after each line."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        errors = "strict" if encoding == "utf-16" else "surrogateescape"
        self._text = io.TextIOWrapper(file, encoding, errors)
        self._errors = errors

    def read(self, size: int) -> bytes:
        return self._text.read(size).encode("utf-8", self._errors)

    def readline(self, size: int) -> bytes:
        return self._text.readline(size).encode("utf-8", self._errors)
