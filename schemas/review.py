"""The review queue, images that a person should look at, and what people answer: corrections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from schemas.audit import DUPLICATE, LABEL, OUTLIER
from schemas.counts import count

if TYPE_CHECKING:
    import pandas as pd

DISAGREEMENT, ABSTAINED = "disagreement", "abstained"
REASONS = {
    LABEL: "an audit doubts the label",
    DISAGREEMENT: "the version that predicted it contradicts the label",
    ABSTAINED: "the version that predicted it abstained",
    DUPLICATE: "almost the same image has another label",
    OUTLIER: "unlike all training images",
}
"""Why an image is in the queue; there may be several reasons."""
COLUMNS = ("item", "reason", "score", "part", "origin", "label", "proposed", "text", "pixels")
"""Of the queue. `item` is the name of an image by its pixels, `origin` its name in its source.

`part` is that of the data, or "" of an image that was predicted. `label` is the given one, -1 if there is none. The
higher the score, the more a look is worth; scores of different reasons can't be compared.
"""
ITEM = r"image-[0-9a-f]{16}"
NOT_A_DIGIT = "none"
"""What people write, as the label or as the name of a folder, for an image that shows no digit."""

RELABELLED, CONFIRMED, ADDED, LEFT_OUT = "relabelled", "confirmed", "added", "left out"
TEST, REPLACED, ABSENT = "test rows, unchanged", "replaced by a newer one", "not in this data"
OUTCOMES = (RELABELLED, CONFIRMED, ADDED, LEFT_OUT, TEST, REPLACED, ABSENT)
"""Outcomes of a correction. `left out` are images that show no digit, `added` those that were in no part."""


def added_digests(corrections: Iterable[Correction]) -> list[int]:
    """Return the digests of the images that corrections added, ascending."""
    return sorted(correction.digest for correction in corrections if correction.outcome == ADDED)


def item_of(digest: int) -> str:
    """Return the name of an image by the first half of its digest; no spreadsheet takes it for a number."""
    return f"image-{digest:016x}"


@dataclass(frozen=True)
class Correction:
    """A person's answer on an image: the digit that it shows, or None if it shows none.

    `by` and `when` are the owner and the time (ISO 8601, UTC) of the file that has it. `pixels` are those of the image,
    if they are known, `part` is that of the queue.
    """

    item: str
    label: int | None
    by: str
    when: str
    file: str
    pixels: bytes = b""
    part: str = ""
    outcome: str = ""

    @property
    def digest(self) -> int:
        return int(self.item.removeprefix("image-"), 16)


def count_outcomes(corrections: Iterable[Correction]) -> dict[str, int]:
    """Count corrections by outcome."""
    counts = Counter(correction.outcome for correction in corrections)
    return {outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]}


def summarize(corrections: Iterable[Correction]) -> list[dict[str, str | int]]:
    """Count the outcomes of each file, with who wrote it and when; the newest file comes first."""
    groups: dict[tuple[str, str, str], list[Correction]] = {}
    for correction in corrections:
        groups.setdefault((correction.when, correction.file, correction.by), []).append(correction)
    return [
        {"file": file, "by": by, "when": when, **count_outcomes(group)}
        for (when, file, by), group in sorted(groups.items(), reverse=True)
    ]


@dataclass(frozen=True)
class Review:
    """The images that wait for a person, the first ones first, written to a folder; `corrections` were made before.

    `n_reasons` counts all that wait; `entries` has those in the folder, with `COLUMNS` and the other `reasons`.
    """

    store: str
    entries: pd.DataFrame
    n_waiting: int
    n_reasons: dict[str, int]
    corrections: tuple[Correction, ...]
    folder: str
    artifact: UUID | None = None

    @property
    def summary(self) -> str:
        first = f", the first {len(self.entries):,} in {self.folder}" if self.n_waiting else ""
        done = count(len(self.corrections), "correction")
        return f"{count(self.n_waiting, 'image')} of {self.store} to look at{first}; {done} so far"
