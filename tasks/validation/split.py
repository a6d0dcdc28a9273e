"""Split off rows to test with, where a source has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from schemas.pixel_frame import labels_of
from tasks.validation.rows import digests

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from schemas.rules import Rules


def test_rows(frame: pd.DataFrame, rules: Rules) -> NDArray[np.bool_]:
    """Mark the rows to test with: of each class the share that the rules say, at least one where there are two.

    Chosen by the images' seeded digests, not by their order: shuffling changes nothing, and of a class that grows only
    the few rows at the edge of its share change sides, so that a model of yesterday is hardly tested on what it was
    trained on.
    """
    marked = np.zeros(len(frame), bool)
    keys = np.array(digests(frame, key=rules.test_seed.to_bytes(4, "little")))
    labels = labels_of(frame)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        wanted = round(rules.test_fraction * len(members)) or int(len(members) > 1)
        if wanted:
            last = np.sort(keys[members])[wanted - 1]
            marked[members[keys[members] <= last]] = True
    return marked
