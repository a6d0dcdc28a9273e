"""The data report in markdown: what came, what was set aside and why, what was found, how far it has drifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifacts.reports import markdown
from artifacts.reports.markdown import table
from schemas.digits import CLASSES
from schemas.row_checks import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.results import Validation

MEANS, SHEET = "data", "quarantine"
"""The pictures that it refers to."""


def validation_report(validation: Validation, address: Callable[[str], str], kept_in: str | None) -> str:
    """Write the report; `address` gives a picture's address, `kept_in` the folder of the rows set aside."""
    total = sum(validation.n_input.values())
    verdict = f"refused, {markdown.count(len(validation.errors), 'error')}" if validation.errors else "accepted"
    sections = (
        f"# {validation.name}: {total:,} rows, {verdict}",
        *body(validation, address, kept_in),
    )
    return "\n\n".join(sections) + "\n"


def unreadable(source: str, fault: str) -> str:
    """Write the report of a source that couldn't be read."""
    return f"# {source}: not read\n\n{fault}\n"


def body(validation: Validation, address: Callable[[str], str], kept_in: str | None) -> list[str]:
    """Write the report's parts without its headline, for a report that tells of more than data."""
    parts = [markdown.findings(validation.findings), _rows(validation), _set_aside(validation, address, kept_in)]
    if validation.repairs:
        parts.append(f"Repaired, as was asked for: {', '.join(validation.repairs)}.")
    if validation.label_counts:
        parts.append(_labels(validation))
    if validation.drifts:
        parts.append(markdown.drift(validation.drifts, validation.reference))
    if validation.means is not None:
        parts.append(f"![The mean image of each class, and drift]({address(MEANS)})")
    return [part for part in parts if part]


def _rows(validation: Validation) -> str:
    rows = [
        [part, f"{came:,}", f"{validation.n_quarantined[part]:,}", f"{validation.n_valid.get(part, 0):,}"]
        for part, came in validation.n_input.items()
    ]
    if "test" not in validation.n_input and "test" in validation.n_valid:
        rows.append(["test, split off", "", "", f"{validation.n_valid['test']:,}"])
    return table(["part", "rows that came", "set aside", "kept"], rows)


def _set_aside(validation: Validation, address: Callable[[str], str], kept_in: str | None) -> str:
    if validation.quarantined.empty:
        return ""
    rows = [
        [reason, MEANINGS[reason], *(f"{counts[part]:,}" for part in validation.n_input)]
        for reason, counts in validation.reasons.items()
    ]
    told = table(["set aside", "because", *validation.n_input], rows, left=2)
    place = f"\n\nKept as they came{validation.cut} in `{kept_in}`." if kept_in else ""
    return f"{told}{place}\n\n![Rows set aside]({address(SHEET)})"


def _labels(validation: Validation) -> str:
    """Write a line for each digit: a column for each would be wider than the older UI's page."""
    parts = validation.label_counts
    totals = {part: max(sum(counts), 1) for part, counts in parts.items()}
    rows = [
        [f"**{label}**", *(f"{counts[label]:,} ({counts[label] / totals[part]:.1%})" for part, counts in parts.items())]
        for label in CLASSES
    ]
    return table(["digit", *(f"{part} rows" for part in parts)], rows)
