"""Texts that others wrote, such as names of files and columns, and labels, made safe to show."""

from __future__ import annotations

from pathlib import Path
from unicodedata import category

from schemas.address import redact

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories of characters that a terminal obeys or hides: control, direction, surrogates, ends of lines."""
JOINERS = "\u200c\u200d"
"""Hidden characters that words of some languages, and emoji, need."""
MAX_LENGTH = 4_000
"""Characters that are shown of a longer text: half of them at its beginning, half at its end."""


def printable(text: str | Path) -> str:
    r"""Return a text as one line that is safe to show.

    Hidden characters are escaped: `\n`, `\x1b`, `\u202e`; `\xff` for a byte that isn't UTF-8. The middle of a very long
    text, and the credentials in an address, are replaced by `…`.
    """
    text = escape(str(text))
    return redact(text if len(text) <= MAX_LENGTH else cut(text))


def cut(text: str) -> str:
    """Return a long text without its middle.

    If it has an address, the words around the cut are left out, too: the parts of an address can't be redacted. To
    redact before would take time quadratic in the length.
    """
    start, end = text[: MAX_LENGTH // 2], text[1 - MAX_LENGTH // 2 :]
    if ":/" in text:
        start, end = start.rpartition(" ")[0], end.partition(" ")[2]
    return f"{start}…{end}"


def escape(text: str) -> str:
    """Return a text with its hidden characters escaped."""
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(character: str) -> str:
    if category(character) not in HIDDEN or character in JOINERS:
        return character
    is_byte = "\udc80" <= character <= "\udcff"  # os.fsdecode's form of a byte that isn't UTF-8
    return f"\\x{ord(character) - 0xDC00:02x}" if is_byte else character.encode("unicode_escape").decode()
