"""Split off rows to test with, where a source has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from schemas.rules import Rules


def test_rows(digests: NDArray[np.uint64], labels: NDArray[np.uint8], rules: Rules) -> NDArray[np.bool_]:
    """Mark the rows to test with: of each class the share that the rules say, at least one where there are two.

    Chosen by the images' digests (rows × 2) and the seed, not by their order: shuffling changes nothing, and of a class
    that grows only the few rows at the edge of its share change sides, so that a model of yesterday is hardly tested on
    what it was trained on.
    """
    marked = np.zeros(len(labels), bool)
    keys = _mixed(digests[:, 0] ^ _mixed(np.array([rules.test_seed], np.uint64)))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        wanted = round(rules.test_fraction * len(members)) or int(len(members) > 1)
        if wanted:
            last = np.partition(keys[members], wanted - 1)[wanted - 1]
            marked[members[keys[members] <= last]] = True
    return marked


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of each value, so that any change of it changes half of them (splitmix64; Steele et al. 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
