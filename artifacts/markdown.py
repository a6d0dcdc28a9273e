"""Pieces of markdown: tables, and the addresses of pictures."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


def embedded(pictures: Mapping[str, bytes]) -> Callable[[str], str]:
    """Give a picture's address as a data URI, for a markdown that has to stand alone."""

    def address(name: str) -> str:
        return f"data:image/png;base64,{base64.b64encode(pictures[name]).decode()}"

    return address


def linked(name: str) -> str:
    """Give a picture's address as a file beside the markdown."""
    return f"{name}.png"


def table(header: Sequence[object], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """Write a markdown table, so many columns to the left, the others to the right."""
    lines = [header, [*[":--"] * left, *["--:"] * (len(header) - left)], *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines)
