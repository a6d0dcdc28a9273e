"""Tables in Markdown, and how a figure with its range reads in them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from summary import ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from summary import Spread

MEBIBYTE = 2**20


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table."""
    ruler = ["---"] * len(header)
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ruler, *rows))


def spread_told(values: Spread | None, form: Callable[[float], str], unit: str) -> str:
    """Tell a median and, unless it stands for one value alone, its range."""
    if values is None:
        return "—"
    if values.low == values.high:
        return f"{form(values.median)}{unit}"
    middle, low, high = (form(value) for value in values)
    return f"{middle}{unit} ({low} to {high})"


def in_seconds(values: Spread | None) -> str:
    """Tell seconds."""
    return spread_told(values, "{:.2f}".format, " s")


def in_percent(values: Spread | None) -> str:
    """Tell shares of one."""
    return spread_told(values, lambda share: f"{100 * share:.2f}", " %")


def in_mebibytes(values: Spread | None) -> str:
    """Tell bytes."""
    return spread_told(values, lambda count: f"{count / MEBIBYTE:.0f}", " MiB")


def times(part: Spread | None, whole: Spread | None) -> str:
    """Tell the ratio of two medians."""
    quotient = ratio(part, whole)
    return "—" if quotient is None or math.isinf(quotient) else f"{quotient:.2f} ×"
