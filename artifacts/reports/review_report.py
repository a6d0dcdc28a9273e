"""The report of the review queue, in markdown.

To add a section with its plots, add an entry to `SECTIONS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifacts.reports import markdown
from artifacts.reports.markdown import Address, Section, code, inert, table
from schemas.counts import count
from schemas.review import REASONS, Review, summarize

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_DRAWN = 24


def review_report(review: Review, address: Address) -> str:
    """Format the report; `address` returns the address of a plot by its name."""
    return (
        f"# Review queue of {inert(review.store)}: {count(review.n_waiting, 'image')}\n\n"
        f"{markdown.render(SECTIONS, review, address)}\n"
    )


def _reasons(review: Review, _address: Address) -> str:
    rows = [[reason, text, review.n_reasons[reason]] for reason, text in REASONS.items()]
    location = f"The first {len(review.entries):,} are in {code(review.folder)}. " if review.n_waiting else ""
    return (
        f"{table(['reason', 'meaning', 'images'], rows, left=2)}\n\n"
        f"{location}The worst of each reason take turns; an image with several reasons comes once, at its first turn."
    )


def _first(review: Review, address: Address) -> str:
    if review.entries.empty:
        return ""
    rows = [
        [row["item"], "" if row["label"] < 0 else row["label"], row["proposed"], row["reasons"], row["text"]]
        for row in review.entries.head(MAX_DRAWN).to_dict("records")
    ]
    return (
        f"![The first images]({address('review')})\n\n"
        f"{table(['item', 'given', 'proposed', 'reasons', 'text'], rows, left=5)}"
    )


def _corrections(review: Review, _address: Address) -> str:
    return markdown.corrections(summarize(review.corrections))


def _sheet(review: Review) -> Figure | None:
    from artifacts.reports import plots  # noqa: PLC0415, matplotlib, which isn't needed to format the report

    return plots.review_sheet(review.entries.head(MAX_DRAWN))


SECTIONS = (
    Section("By reason", _reasons),
    Section("The first images", _first, {"review": _sheet}),
    Section("Corrections so far", _corrections),
)
"""`write` gets the review and `address`; the functions of the plots get the review."""
