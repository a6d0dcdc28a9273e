"""Pieces of markdown that several reports have: tables of all kinds, and the addresses of pictures."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from schemas.digits import CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from schemas.results import CheckResult, Drift


def embedded(pictures: Mapping[str, bytes]) -> Callable[[str], str]:
    """Give a picture's address as a data URI, for a markdown that has to stand alone."""

    def address(name: str) -> str:
        return f"data:image/png;base64,{base64.b64encode(pictures[name]).decode()}"

    return address


def linked(name: str) -> str:
    """Give a picture's address as a file beside the markdown."""
    return f"{name}.png"


def embed_pictures(path: Path) -> str:
    """Give a markdown file with the pictures that lie beside it inside."""

    def embed(link: re.Match[str]) -> str:
        picture = path.with_name(f"{link[1]}.png").read_bytes()
        return f"]({embedded({link[1]: picture})(link[1])})"

    return re.sub(r"\]\((\w+)\.png\)", embed, path.read_text())


def table(header: Sequence[object], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """Write a markdown table, so many columns to the left, the others to the right."""
    lines = [header, [*[":--"] * left, *["--:"] * (len(header) - left)], *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(content: object) -> str:
    """Write a cell's content in one line, without what would end the cell."""
    return " ".join(str(content).replace("|", "/").split())


def count(number: int, what: str) -> str:
    """Give a number of things in words."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def confusion_matrix(matrix: NDArray[np.int64], address: Callable[[str], str]) -> str:
    """Write the section of a confusion matrix, as a table and as its picture."""
    rows = (
        [f"**{true}**", *(f"**{count}**" if predicted == true else count for predicted, count in enumerate(line))]
        for true, line in enumerate(matrix.tolist())
    )
    return (
        "## Confusion matrix\n\nRows are true digits, columns predicted ones.\n\n"
        f"{table(['true', *CLASSES], rows)}\n\n![Confusion matrix]({address('confusion_matrix')})"
    )


def findings(found: Sequence[CheckResult]) -> str:
    """Write what checks of the whole found."""
    if not found:
        return "Nothing to complain of."
    rows = [[f"**{finding.severity}**", finding.check, finding.message] for finding in found]
    return table(["severity", "check", "what was found"], rows, left=3)


def drift(drifts: Sequence[Drift], reference: str) -> str:
    """Write how far data has drifted from a reference."""
    rows = [
        [f"{d.part}, {d.name}", f"{d.value:.3f}", f"{d.bound:.3f}", "**far**" if d.exceeds_threshold else "near"]
        for d in drifts
    ]
    return (
        f"Drift from the reference, {reference}: label shares by Jensen-Shannon distance, mean ink and "
        f"principal components by population stability index.\n\n{table(['drift', 'measured', 'bound', ''], rows)}"
    )
