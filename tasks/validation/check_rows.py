"""Judge the rows of a part one by one: those whose values are right, and why the others aren't."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from schemas import images, pixel_frame
from schemas.pixel_frame import pixels_of
from tasks.validation import row_faults
from tasks.validation.repairs import highest, is_unit_scale, needed, repaired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from schemas.images import Images
    from schemas.rules import Repair


class CheckedPart(NamedTuple):
    """A part whose rows were judged one by one.

    `positions` are those of the rows of `images` among the `n_input` rows, `faults` those of the quarantined rows, by
    reason. `as_came` gives rows as they came, by ascending positions. `unit_scale` tells that pixels
    run from 0 to 1, though no repair was asked for; they were scaled then, for the checks that follow to see something.
    `bad_shards` tells of each file that couldn't be used, and why; `n_unreadable` is how many rows these count for.
    """

    n_input: int
    images: Images
    digests: NDArray[np.uint64]
    positions: NDArray[np.int64]
    faults: Mapping[str, NDArray[np.int64]]
    as_came: Callable[[NDArray[np.int64]], pd.DataFrame]
    unit_scale: bool
    bad_shards: tuple[str, ...] = ()
    n_unreadable: int = 0

    @property
    def n_expected(self) -> int:
        """Count the rows that came and, as far as can be told, those that couldn't."""
        return self.n_input + self.n_unreadable


class RowCheckResult(NamedTuple):
    """What became of the rows of a frame: those that are right, as a pixel frame, and which of them all fail what."""

    right: pd.DataFrame
    kept: NDArray[np.bool_]
    faults: dict[str, NDArray[np.bool_]]


def of_frame(frame: pd.DataFrame, repairs: Iterable[Repair]) -> CheckedPart:
    """Judge a part that is one frame, with a pixel frame's columns."""
    wanted = needed(highest(frame), repairs)
    mended = repaired(frame, wanted)
    unit_scale = is_unit_scale(highest(mended))
    verdict = judge(repaired(mended, ("scale",)) if unit_scale else mended)
    return CheckedPart(
        n_input=len(frame),
        images=images.of_frame(verdict.right),
        digests=row_faults.digests(pixels_of(verdict.right)),
        positions=np.flatnonzero(verdict.kept),
        faults={reason: np.flatnonzero(failing) for reason, failing in verdict.faults.items()},
        as_came=lambda positions: frame.iloc[positions],
        unit_scale=unit_scale,
    )


def judge(frame: pd.DataFrame) -> RowCheckResult:
    """Judge the rows of a frame, repaired already."""
    faults = row_faults.value_faults(frame)
    kept = ~row_faults.failing(faults, len(frame))
    right = row_faults.take(frame, kept)
    if len(right):
        pixel_frame.validate(pixel_frame.LABELLED, right, "rows that passed")
    return RowCheckResult(right, kept, faults)
