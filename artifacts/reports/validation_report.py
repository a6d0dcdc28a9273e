"""The data report: input rows, quarantined rows with reasons, results of the checks, drift.

To add a section with its plots, add an entry to `SECTIONS`.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from artifacts.reports import markdown, plots
from artifacts.reports.markdown import Address, Section, bold, code, inert, table
from schemas.counts import count
from schemas.digits import CLASSES
from schemas.review import summarize
from schemas.row_checks import ROW_CHECKS
from schemas.validation import Validation


def validation_report(validation: Validation, address: Address, quarantine_uri: str | None) -> str:
    """Format the report; `quarantine_uri` is the location of the quarantined rows."""
    outcome = f"refused, {count(len(validation.errors), 'error')}" if validation.errors else "accepted"
    headline = f"# {inert(validation.name)}: {count(sum(validation.n_input.values()), 'row')}, {outcome}"
    return f"{headline}\n\n{markdown.render(SECTIONS, validation, address, quarantine_uri)}\n"


def _rows(validation: Validation, *_: object) -> str:
    rows: list[list[object]] = [
        [part, n_rows, validation.n_quarantined[part], validation.n_valid.get(part, 0)]
        for part, n_rows in validation.n_input.items()
    ]
    if "test" not in validation.n_input and "test" in validation.n_valid:
        rows.append(["test, split off", "", "", validation.n_valid["test"]])
    return table(["part", "input rows", "quarantined", "valid"], rows)


def _quarantine(validation: Validation, address: Address, quarantine_uri: str | None) -> str:
    if validation.quarantined.empty:
        return ""
    rows = [
        [reason, ROW_CHECKS[reason].reason, *(counts[part] for part in validation.n_input)]
        for reason, counts in validation.reasons.items()
    ]
    texts = [table(["check", "reason", *validation.n_input], rows, left=2)]
    if quarantine_uri:
        texts.append(f"The input rows{validation.truncation_note} are in {code(quarantine_uri)}.")
    return "\n\n".join([*texts, f"![Quarantined rows]({address('quarantine')})"])


def _labels(validation: Validation, *_: object) -> str:
    """Format a row for each digit: a column for each would be wider than the page of Prefect's older UI."""
    parts = validation.label_counts
    if not parts:
        return ""
    totals = {part: max(sum(counts), 1) for part, counts in parts.items()}
    rows = [
        [bold(label), *(f"{counts[label]:,} ({counts[label] / totals[part]:.1%})" for part, counts in parts.items())]
        for label in CLASSES
    ]
    return table(["digit", *(f"{part} rows" for part in parts)], rows)


def _label_agreement(validation: Validation, *_: object) -> str:
    agreement = validation.label_agreement
    if not agreement:
        return ""
    rows = [
        [name, a.n_rows, f"{a.reference:.1%}", "" if a.champion is None else f"{a.champion:.1%}"]
        for name, a in agreement.items()
    ]
    return (
        "The share of labels, in a sample, with which the nearest class mean of the reference agrees, and the "
        "champion, if there is one. Of right labels these are about 84 % and 99 % in MNIST, less in other handwriting. "
        "A low share of an inbox file means wrong labels, or digits that the champion hasn't learned.\n\n"
        f"{table(['rows of', 'number', 'class means agree', 'the champion agrees'], rows)}"
    )


def _corrections(validation: Validation, *_: object) -> str:
    return markdown.corrections(summarize(validation.corrections))


def _means(validation: Validation, address: Address, _: object) -> str:
    return "" if validation.means is None else f"![The mean image of each class, and drift]({address('data')})"


def _sheet(validation: Validation) -> Figure | None:
    return None if validation.quarantined.empty else plots.quarantine_sheet(validation)


SECTIONS = (
    Section("Checks", lambda v, *_: markdown.findings(v.findings)),
    Section("How it was read", lambda v, *_: markdown.notes(v.notes)),
    Section("Rows", _rows),
    Section("Quarantined rows", _quarantine, {"quarantine": _sheet}),
    Section("Corrections", _corrections),
    Section("Repairs", lambda v, *_: f"Made on all images: {inert(', '.join(v.repairs))}." if v.repairs else ""),
    Section("Digits", _labels),
    Section("Labels", _label_agreement),
    Section("Drift", lambda v, *_: markdown.drift(v.drifts, v.reference) if v.drifts else ""),
    Section("Mean images", _means, {"data": lambda v: plots.data_sheet(v.means, v.reference_means, v.drifts)}),
)
"""`write` gets the validation, `address` and `quarantine_uri`; the functions of the plots get the validation."""
