"""The reference profile: what a dataset's images look like, in a few numbers. Drift is measured against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Profile:
    """Statistics of labelled pixel frames: how many of each label, how they look, how they vary.

    `class_means` is 10 × 784, 0 for a class that isn't there. Mean ink is counted between 9 edges, its deciles; so are
    the scores on each of 8 principal components (8 × 784, about `mean`), between `score_edges` (8 × 9).
    """

    name: str
    label_counts: NDArray[np.int64]
    class_means: NDArray[np.float32]
    ink_edges: NDArray[np.float32]
    ink_counts: NDArray[np.int64]
    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    score_edges: NDArray[np.float32]
    score_counts: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Count the images that it was made of."""
        return int(self.label_counts.sum())
