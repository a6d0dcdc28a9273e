"""Texts that others wrote, such as names of files and columns, and labels, made safe to show."""

from __future__ import annotations

from pathlib import Path
from unicodedata import category

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories of characters that a terminal obeys or hides: control, direction, surrogates, ends of lines."""


def printable(text: str | Path) -> str:
    r"""Return a text as one line, hidden characters escaped: `\n`, `\x1b`, `\u202e`; `\xff` for a byte not UTF-8."""
    text = str(text)
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(character: str) -> str:
    if category(character) not in HIDDEN:
        return character
    is_byte = "\udc80" <= character <= "\udcff"  # os.fsdecode's form of a byte that isn't UTF-8
    return f"\\x{ord(character) - 0xDC00:02x}" if is_byte else character.encode("unicode_escape").decode()
