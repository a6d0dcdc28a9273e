"""The report of an audit of labels, in markdown.

To add a section with its plots, add an entry to `SECTIONS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifacts.reports import markdown
from artifacts.reports.markdown import Address, Section, code, inert, table
from schemas.audit import DUPLICATE, KINDS, LABEL, OUTLIER, Audit
from schemas.counts import count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.figure import Figure

    from schemas.images import Images
    from schemas.validation import Part

MAX_LISTED = 24
MAX_DRAWN = 48


def audit_report(audit: Audit, address: Address) -> str:
    """Format the report; `address` returns the address of a plot by its name."""
    return f"{_headline(audit)}\n\n{markdown.render(SECTIONS, audit, address)}\n"


def _headline(audit: Audit) -> str:
    errors = audit.of_kind(LABEL)
    rows = []
    for part, n_rows in audit.n_rows.items():
        confident = errors.loc[errors["part"] == part, "confident"]
        rows.append([part, n_rows, len(confident), confident.sum()])
    return (
        f"# Labels of {inert(audit.name)}: {count(audit.n_confident, 'probable error')}\n\n"
        f"Each training row was predicted by a network ({audit.network}) that was trained on the other folds of "
        f"{audit.n_folds}, each test row by all {audit.n_folds} networks. A label counts as a probable error if the "
        "networks are as sure of another digit as they usually are of that digit's own rows (confident learning, "
        "Northcutt et al. 2021); it is a suspect if it gets less than half of the probability. Nothing was changed: "
        "look at the pictures, then correct the source.\n\n"
        f"{table(['part', 'rows', 'suspects', 'probable errors'], rows)}\n\n"
        f"All suspects are in {code(audit.folder + '/suspects.parquet')}."
    )


def _suspects_of(kind: str, plot: str = "") -> Callable[[Audit, Address], str]:
    """Return a function that formats the worst suspects of a kind."""

    def write(audit: Audit, address: Address) -> str:
        suspects = audit.of_kind(kind)
        if suspects.empty:
            return ""
        rows = [
            [f"{row.part} {row.item}", row.label, row.proposed, f"{row.score:.4f}", row.reason]
            for row in suspects.head(MAX_LISTED).itertuples()
        ]
        parts = [f"{count(len(suspects), 'row')}: {KINDS[kind]}."]
        parts += [f"![The worst suspects]({address(plot)})"] if plot else []
        return "\n\n".join([*parts, table(["item", "label", "proposed", "score", "reason"], rows)])

    return write


def _sheet(audit: Audit, parts: Mapping[Part, Images]) -> Figure | None:
    from artifacts.reports import plots  # noqa: PLC0415, matplotlib, which isn't needed to read an audit

    return plots.suspect_sheet(audit.of_kind(LABEL).head(MAX_DRAWN), parts)


SECTIONS = (
    Section("Label errors", _suspects_of(LABEL, "suspects"), {"suspects": _sheet}),
    Section("Near-duplicates with other labels", _suspects_of(DUPLICATE)),
    Section("Outliers", _suspects_of(OUTLIER)),
)
"""`write` gets the audit and `address`; the functions of the plots get the audit and the images of its parts."""
