"""Check the label and pixels of each row of a part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import images, pixel_frame
from schemas.images import Images
from schemas.pixel_frame import pixels_of
from schemas.rules import Repair
from schemas.slices import Division
from tasks.validation import row_faults
from tasks.validation.repairs import apply_repairs, count_scales, find_scale, relabel, select_repairs
from tasks.validation.row_faults import Faults, RowKeys

MAX_ORIGINS = 20
"""Files of origin up to which each is a slice of its own: a test of very many slices finds nothing."""


class CheckedPart(NamedTuple):
    """A part whose rows were checked: the valid ones, and which of the `n_input` readable rows are quarantined.

    `images` are the valid rows, repaired, with their `digests` and their `positions` among the input rows. `faults`
    holds the positions of the quarantined rows by the check that they fail. `read_input` returns input rows, unchanged,
    by ascending positions. `scales` counts the input rows by their scale; rows with another than from 0 to 255 were
    scaled, if only so that later checks can run. `bad_shards` holds a message for each unusable file; `n_unreadable`
    counts their rows. `notes` say what was guessed of the shards. `origins` names the files that the input rows come
    from, with the position of each one's first row, if there are several.
    """

    n_input: int
    images: Images
    digests: NDArray[np.uint64]
    positions: NDArray[np.int64]
    faults: Mapping[str, NDArray[np.int64]]
    read_input: Callable[[NDArray[np.int64]], pd.DataFrame]
    scales: Mapping[str, int]
    bad_shards: tuple[str, ...] = ()
    n_unreadable: int = 0
    notes: tuple[str, ...] = ()
    origins: tuple[tuple[str, int], ...] = ()

    @property
    def origin(self) -> Division | None:
        """The division of the valid rows by file, if there are 2 to 20 files."""
        if not 1 < len(self.origins) <= MAX_ORIGINS:
            return None
        names, starts = zip(*self.origins, strict=True)
        return Division("file", names, np.searchsorted(starts, self.positions, side="right") - 1)

    @property
    def n_expected(self) -> int:
        """The number of input rows, including those in unusable files."""
        return self.n_input + self.n_unreadable

    @property
    def keys(self) -> RowKeys:
        return RowKeys(self.digests, self.images.labels)

    @property
    def quarantined(self) -> NDArray[np.int64]:
        """The positions of the quarantined rows, ascending."""
        return np.unique(np.concatenate([np.empty(0, np.int64), *self.faults.values()]))

    def take(self, selected: NDArray[np.bool_]) -> CheckedPart:
        """Return the part with the selected ones of its valid rows; without a copy if all are selected."""
        if selected.all():
            return self
        rows = np.flatnonzero(selected)
        return self._replace(images=self.images.take(rows), digests=self.digests[rows], positions=self.positions[rows])

    def quarantine(self, faults: Faults) -> CheckedPart:
        """Return the part without the valid rows that fail a further check."""
        positions = {name: self.positions[fails] for name, fails in faults.items()}
        rest = self.take(~row_faults.any_fault(faults, len(self.positions)))
        return rest._replace(faults={**self.faults, **positions})


def check_frame(frame: pd.DataFrame, repairs: Iterable[Repair], new_labels: str = "", scale: str = "") -> CheckedPart:
    """Check a part that is a single frame, with a pixel frame's columns; first make the repairs, and relabel.

    `scale` is that of all images of which the frame has some; without it, the frame shows it.
    """
    scales = count_scales(frame)
    needed_repairs = select_repairs(scale or find_scale(scales), (*repairs, "scale"))
    repaired = apply_repairs(relabel(frame, new_labels), needed_repairs)
    faults = row_faults.value_faults(repaired)
    is_valid = ~row_faults.any_fault(faults, len(frame))
    valid = row_faults.take(repaired, is_valid)
    if len(valid):
        pixel_frame.validate(pixel_frame.LABELLED, valid, "rows that passed all checks")
    return CheckedPart(
        n_input=len(frame),
        images=images.of_frame(valid),
        digests=row_faults.digests(pixels_of(valid)),
        positions=np.flatnonzero(is_valid),
        faults={name: np.flatnonzero(fails) for name, fails in faults.items()},
        read_input=lambda positions: frame.iloc[positions],
        scales=scales,
    )
