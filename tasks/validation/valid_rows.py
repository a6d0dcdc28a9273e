"""The rows of a part that are valid so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from tasks.validation import row_faults
from tasks.validation.row_faults import RowKeys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from schemas.images import Images
    from tasks.validation.check_rows import CheckedPart


class ValidRows(NamedTuple):
    """Rows that are valid so far: their images and digests, and their positions among a part's input rows."""

    images: Images
    digests: NDArray[np.uint64]
    positions: NDArray[np.int64]

    @classmethod
    def of(cls, checked: CheckedPart) -> Self:
        """Return all rows of a part that have valid values."""
        return cls(checked.images, checked.digests, checked.positions)

    @property
    def keys(self) -> RowKeys:
        """What identifies copies among the rows."""
        return RowKeys(self.digests, self.images.labels)

    def take(self, selected: NDArray[np.bool_]) -> ValidRows:
        """Return the selected rows; all of them without a copy."""
        if selected.all():
            return self
        rows = np.flatnonzero(selected)
        return ValidRows(self.images.take(rows), self.digests[rows], self.positions[rows])

    def without(self, faults: Mapping[str, NDArray[np.bool_]]) -> tuple[ValidRows, dict[str, NDArray[np.int64]]]:
        """Return the rows without faults, and the positions of the others by reason."""
        positions = {reason: self.positions[fails] for reason, fails in faults.items()}
        return self.take(~row_faults.failing(faults, len(self.positions))), positions
