"""Building blocks of the markdown reports: sections, tables, images."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from numbers import Integral
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.digits import CLASSES
from schemas.review import OUTCOMES
from schemas.text import printable
from schemas.validation import CheckResult, Drift

if TYPE_CHECKING:  # NumPy takes a tenth of a second, which `--help` would wait for
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


Address = Callable[[str], str]
"""A function that returns the address of a plot by its name."""
AUTOLINK = re.compile(r"((?<![^\s|\\`])[^\s|\\`]*(?:://|(?i:www\.)|@)[^\s|\\`]*)")
"""A word that would become a link; only as code it doesn't."""
SYNTAX = re.compile(r"\\(?=[!-/:-@\[-`{-~]|$)|[`*\[\]<>|~]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|^(?:[-=+]+|#+)(?=\s|$)")
"""Where a text without links needs a backslash: a `_` only at the edge of a word, a `#` only as a heading."""


class Markdown(str):
    """A text that is markdown on purpose, which `inert` leaves unchanged."""

    __slots__ = ()


def inert(text: object) -> Markdown:
    """Return a text that others may have written as markdown that shows it: no picture, link, HTML or formatting."""
    if isinstance(text, Markdown):
        return text
    words = AUTOLINK.split(printable(str(text)))
    plain, links = words[::2], words[1::2]
    plain = [SYNTAX.sub(lambda match: f"\\{match[0]}", part) for part in plain]
    return Markdown("".join(chain.from_iterable(zip_longest(plain, (f"`{link}`" for link in links), fillvalue=""))))


def inert_rows(rows: Iterable[Mapping[str, str | int]]) -> list[dict[str, str | int]]:
    """Return the rows of a table artifact with inert texts: Prefect's older UI shows its cells as markdown."""
    return [{name: cell if isinstance(cell, int) else inert(cell) for name, cell in row.items()} for row in rows]


def bold(text: object) -> Markdown:
    """Format a text as bold."""
    return Markdown(f"**{inert(text)}**")


def code(text: object) -> Markdown:
    """Format a text as code, unless it has characters that would end the code or a table's cell."""
    shown = printable(str(text))
    return inert(shown) if set("`|\\") & set(shown) else Markdown(f"`{shown}`")


class Section(NamedTuple):
    """A section of a report, with its plots.

    An empty title is left out, as is a section for which `write` returns "". `plots` maps the name of a PNG to a
    function that returns a figure, or None if there is nothing to draw.
    """

    title: str
    write: Callable[..., str]
    plots: Mapping[str, Callable[..., Figure | None]] = MappingProxyType({})


def render(sections: Iterable[Section], *arguments: object, level: int = 2) -> str:
    """Format sections one after the other, with headings of a level; `arguments` are passed to each `write`."""
    texts = [(section.title, section.write(*arguments)) for section in sections]
    return "\n\n".join(f"{'#' * level} {title}\n\n{text}" if title else text for title, text in texts if text)


def as_data_uris(plots: Mapping[str, bytes]) -> Address:
    """Return the addresses of plots as data URIs, for a report in a single file."""
    return lambda name: f"data:image/png;base64,{base64.b64encode(plots[name]).decode()}"


def as_links(name: str) -> str:
    """Return the address of a plot as a link to a file beside the report."""
    return f"{name}.png"


def embed_pictures(path: Path) -> str:
    """Return a report's text with the PNG files beside it embedded in place of the links to them."""
    text = path.read_text("utf-8")
    for png in path.parent.glob("*.png"):
        address = as_data_uris({png.stem: png.read_bytes()})(png.stem)
        text = text.replace(f"]({as_links(png.stem)})", f"]({address})")
    return text


def table(header: Sequence[object], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """Format a markdown table; the first `left` columns are left-aligned, the others right-aligned.

    Whole numbers get separators of thousands; other cells are made inert unless they are `Markdown`.
    """
    lines = [header, [*[":--"] * left, *["--:"] * (len(header) - left)], *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, Integral) else inert(value)


def confusion_matrix(matrix: NDArray[np.int64], address: Address) -> str:
    """Format a confusion matrix as a table, followed by the plot `confusion_matrix`."""
    rows = (
        [bold(true), *(bold(count) if predicted == true else count for predicted, count in enumerate(line))]
        for true, line in enumerate(matrix.tolist())
    )
    return (
        "Rows are true digits, columns predicted ones.\n\n"
        f"{table(['true', *CLASSES], rows)}\n\n![Confusion matrix]({address('confusion_matrix')})"
    )


def recipe(name: str, fields: Mapping[str, Any]) -> str:
    """Format a recipe as a table, with the name of the preset or file that it is based on."""
    rows = [[field.replace("_", " "), str(value)] for field, value in fields.items()]
    return f"Based on the recipe {code(name)}.\n\n{table(['field', 'value'], rows)}"


def notes(texts: Sequence[str]) -> str:
    """Format what readers guessed or left out as a list."""
    return "\n".join(f"- {inert(text)}" for text in texts)


def findings(results: Sequence[CheckResult]) -> str:
    """Format the problems that the checks of the whole data found."""
    rows = [[bold(result.severity), result.check, result.message] for result in results]
    return table(["severity", "check", "finding"], rows, left=3) if rows else "No problems found."


def corrections(files: Sequence[Mapping[str, str | int]]) -> str:
    """Format the outcome of each file's corrections, with who wrote it and when (UTC)."""
    outcomes = [outcome for outcome in OUTCOMES if any(outcome in one for one in files)]
    rows = [[one["file"], one["by"], str(one["when"])[:19], *(one.get(name, 0) for name in outcomes)] for one in files]
    return table(["corrections in", "by", "when", *outcomes], rows, left=3) if files else ""


def drift(drifts: Sequence[Drift], reference: str) -> str:
    """Format the drift of data from a reference."""
    texts = {True: bold("exceeds the threshold"), False: "within the threshold"}
    rows = [[f"{d.part}, {d.name}", f"{d.value:.3f}", f"{d.bound:.3f}", texts[d.exceeds_threshold]] for d in drifts]
    return (
        f"Drift from the reference, {inert(reference)}: label shares by Jensen-Shannon distance, mean ink and "
        f"principal components by population stability index.\n\n{table(['drift', 'value', 'threshold', ''], rows)}"
    )
