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
from schemas.results import CheckResult, Drift

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Address = Callable[[str], str]
"""Returns the address of a plot by its name."""


class Section(NamedTuple):
    """A section of a report, and the plots that it shows.

    An empty title is left out, as is a section for which `write` returns "". `plots` holds functions that return a
    figure, or None where there is nothing to draw, by the name of the PNG.
    """

    title: str
    write: Callable[..., str]
    plots: Mapping[str, Callable[..., Figure | None]] = MappingProxyType({})


def render(sections: Iterable[Section], *arguments: object) -> str:
    """Write sections below each other; each `write` gets the arguments."""
    texts = [(section.title, section.write(*arguments)) for section in sections]
    return "\n\n".join(f"## {title}\n\n{text}" if title else text for title, text in texts if text)


def embedded(plots: Mapping[str, bytes]) -> Address:
    """Return a function from a plot's name to its data URI, for a report that stands alone."""
    return lambda name: f"data:image/png;base64,{base64.b64encode(plots[name]).decode()}"


def linked(name: str) -> str:
    """Return a plot's address as a file beside the report."""
    return f"{name}.png"


def embed_pictures(path: Path) -> str:
    """Return a report's text with the PNG files beside it embedded in place of the links to them."""
    text = path.read_text()
    for png in path.parent.glob("*.png"):
        address = embedded({png.stem: png.read_bytes()})(png.stem)
        text = text.replace(f"]({linked(png.stem)})", f"]({address})")
    return text


def table(header: Sequence[object], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """Write a markdown table whose first `left` columns are aligned to the left, the others to the right."""
    lines = [header, [*[":--"] * left, *["--:"] * (len(header) - left)], *rows]
    cells = ([" ".join(str(cell).replace("|", "/").split()) for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def count(number: int, noun: str) -> str:
    """Write a number of things: `1 image`, `2,000 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def confusion_matrix(matrix: NDArray[np.int64], address: Address) -> str:
    """Write a confusion matrix as a table and as the plot `confusion_matrix`."""
    rows = (
        [f"**{true}**", *(f"**{count}**" if predicted == true else count for predicted, count in enumerate(line))]
        for true, line in enumerate(matrix.tolist())
    )
    return (
        "Rows are true digits, columns predicted ones.\n\n"
        f"{table(['true', *CLASSES], rows)}\n\n![Confusion matrix]({address('confusion_matrix')})"
    )


def recipe(fields: Mapping[str, Any]) -> str:
    """Write a recipe as a table."""
    return table(["field", "value"], [[name.replace("_", " "), value] for name, value in fields.items()])


def findings(results: Sequence[CheckResult]) -> str:
    """Write the problems that the checks of a whole dataset found."""
    rows = [[f"**{result.severity}**", result.check, result.message] for result in results]
    return table(["severity", "check", "finding"], rows, left=3) if rows else "No problems found."


def drift(drifts: Sequence[Drift], reference: str) -> str:
    """Write how much data has drifted from a reference."""
    verdicts = {True: "**exceeds the threshold**", False: "within the threshold"}
    rows = [[f"{d.part}, {d.name}", f"{d.value:.3f}", f"{d.bound:.3f}", verdicts[d.exceeds_threshold]] for d in drifts]
    return (
        f"Drift from the reference, {reference}: label shares by Jensen-Shannon distance, mean ink and "
        f"principal components by population stability index.\n\n{table(['drift', 'value', 'threshold', ''], rows)}"
    )
