"""Split off rows to test with, where a source has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from schemas.rules import Rules
    from tasks.validation.row_faults import RowKeys


def select_test_rows(rows: RowKeys, rules: Rules) -> NDArray[np.bool_]:
    """Select the rows to test with: of each class the rules' share, at least one where there are two.

    Rows are chosen by their images' digests and the seed, not by their order. So shuffling changes nothing, and when a
    class grows only the few rows at the edge of its share change sides: the previous version is hardly tested on rows
    that it was trained on.
    """
    selected = np.zeros(len(rows.labels), bool)
    keys = _mix_bits(rows.digests[:, 0] ^ _mix_bits(np.array([rules.test_seed], np.uint64)))
    for label in np.unique(rows.labels):
        members = np.flatnonzero(rows.labels == label)
        n_selected = round(rules.test_fraction * len(members)) or int(len(members) > 1)
        if n_selected:
            last = np.partition(keys[members], n_selected - 1)[n_selected - 1]
            selected[members[keys[members] <= last]] = True
    return selected


def _mix_bits(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of each value so that changing one changes half of them (splitmix64; Steele et al. 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
