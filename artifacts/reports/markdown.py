"""Building blocks of the markdown reports: sections, tables, images."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.digits import CLASSES
from schemas.validation import CheckResult, Drift

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Address = Callable[[str], str]
"""A function that returns the address of a plot by its name."""


class Section(NamedTuple):
    """A section of a report, with its plots.

    An empty title is left out, as is a section for which `write` returns "". `plots` maps the name of a PNG to a
    function that returns a figure, or None if there is nothing to draw.
    """

    title: str
    write: Callable[..., str]
    plots: Mapping[str, Callable[..., Figure | None]] = MappingProxyType({})


def render(sections: Iterable[Section], *arguments: object) -> str:
    """Format sections one after the other; `arguments` are passed to each `write`."""
    texts = [(section.title, section.write(*arguments)) for section in sections]
    return "\n\n".join(f"## {title}\n\n{text}" if title else text for title, text in texts if text)


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
    """Format a markdown table; the first `left` columns are left-aligned, the others right-aligned."""
    lines = [header, [*[":--"] * left, *["--:"] * (len(header) - left)], *rows]
    cells = ([" ".join(str(cell).replace("|", "/").split()) for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def confusion_matrix(matrix: NDArray[np.int64], address: Address) -> str:
    """Format a confusion matrix as a table, followed by the plot `confusion_matrix`."""
    rows = (
        [f"**{true}**", *(f"**{count}**" if predicted == true else count for predicted, count in enumerate(line))]
        for true, line in enumerate(matrix.tolist())
    )
    return (
        "Rows are true digits, columns predicted ones.\n\n"
        f"{table(['true', *CLASSES], rows)}\n\n![Confusion matrix]({address('confusion_matrix')})"
    )


def recipe(fields: Mapping[str, Any]) -> str:
    """Format a recipe as a table."""
    return table(["field", "value"], [[name.replace("_", " "), value] for name, value in fields.items()])


def findings(results: Sequence[CheckResult]) -> str:
    """Format the problems that the checks of the whole data found."""
    rows = [[f"**{result.severity}**", result.check, result.message] for result in results]
    return table(["severity", "check", "finding"], rows, left=3) if rows else "No problems found."


def drift(drifts: Sequence[Drift], reference: str) -> str:
    """Format the drift of data from a reference."""
    verdicts = {True: "**exceeds the threshold**", False: "within the threshold"}
    rows = [[f"{d.part}, {d.name}", f"{d.value:.3f}", f"{d.bound:.3f}", verdicts[d.exceeds_threshold]] for d in drifts]
    return (
        f"Drift from the reference, {reference}: label shares by Jensen-Shannon distance, mean ink and "
        f"principal components by population stability index.\n\n{table(['drift', 'value', 'threshold', ''], rows)}"
    )
