"""The data report: input rows, quarantined rows and why, results of the checks, drift.

A new section is one entry of `SECTIONS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifacts.reports import markdown
from artifacts.reports.markdown import Section, table
from schemas.digits import CLASSES
from schemas.row_checks import ROW_CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.results import Validation

    Address = Callable[[str], str]
    """Returns the address of a plot by its name."""

MEANS, QUARANTINE = "data", "quarantine"
"""The plots that the report shows."""


def validation_report(validation: Validation, address: Address, quarantine_uri: str | None) -> str:
    """Write the report; `quarantine_uri` is where the quarantined rows are."""
    n_rows = sum(validation.n_input.values())
    outcome = f"refused, {markdown.count(len(validation.errors), 'error')}" if validation.errors else "accepted"
    headline = f"# {validation.name}: {n_rows:,} rows, {outcome}"
    return f"{headline}\n\n{markdown.render(SECTIONS, validation, address, quarantine_uri)}\n"


def unreadable(source: str, fault: str) -> str:
    """Write the report on a source that can't be read."""
    return f"# {source}: not read\n\n{fault}\n"


def body(validation: Validation, address: Address, quarantine_uri: str | None) -> list[str]:
    """Write the sections without their titles, for a report on more than data."""
    texts = (section.write(validation, address, quarantine_uri) for section in SECTIONS)
    return [text for text in texts if text]


def _findings(validation: Validation, *_: object) -> str:
    return markdown.findings(validation.findings)


def _rows(validation: Validation, *_: object) -> str:
    rows = [
        [part, f"{n_rows:,}", f"{validation.n_quarantined[part]:,}", f"{validation.n_valid.get(part, 0):,}"]
        for part, n_rows in validation.n_input.items()
    ]
    if "test" not in validation.n_input and "test" in validation.n_valid:
        rows.append(["test, split off", "", "", f"{validation.n_valid['test']:,}"])
    return table(["part", "input rows", "quarantined", "valid"], rows)


def _quarantine(validation: Validation, address: Address, quarantine_uri: str | None) -> str:
    if validation.quarantined.empty:
        return ""
    rows = [
        [reason, ROW_CHECKS[reason].reason, *(f"{counts[part]:,}" for part in validation.n_input)]
        for reason, counts in validation.reasons.items()
    ]
    texts = [table(["check", "reason", *validation.n_input], rows, left=2)]
    if quarantine_uri:
        texts.append(f"The input rows{validation.truncation_note} are in `{quarantine_uri}`.")
    return "\n\n".join([*texts, f"![Quarantined rows]({address(QUARANTINE)})"])


def _repairs(validation: Validation, *_: object) -> str:
    return f"Made on all images: {', '.join(validation.repairs)}." if validation.repairs else ""


def _labels(validation: Validation, *_: object) -> str:
    """Write a row for each digit: a column for each would be wider than the page of Prefect's older UI."""
    parts = validation.label_counts
    if not parts:
        return ""
    totals = {part: max(sum(counts), 1) for part, counts in parts.items()}
    rows = [
        [f"**{label}**", *(f"{counts[label]:,} ({counts[label] / totals[part]:.1%})" for part, counts in parts.items())]
        for label in CLASSES
    ]
    return table(["digit", *(f"{part} rows" for part in parts)], rows)


def _drift(validation: Validation, *_: object) -> str:
    return markdown.drift(validation.drifts, validation.reference) if validation.drifts else ""


def _means(validation: Validation, address: Address, _: object) -> str:
    return "" if validation.means is None else f"![The mean image of each class, and drift]({address(MEANS)})"


SECTIONS = (
    Section("Checks", _findings),
    Section("Rows", _rows),
    Section("Quarantined rows", _quarantine),
    Section("Repairs", _repairs),
    Section("Digits", _labels),
    Section("Drift", _drift),
    Section("Mean images", _means),
)
"""The sections in their order; each function gets the validation, `address` and `quarantine_uri`."""
