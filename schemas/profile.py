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

    `class_means` is 10 × 784, 0 for a class that isn't there. Images vary about `mean` along the principal `components`
    (64 × 784, of `variances`) and by `residual_variance` in every other direction. Mean ink is counted between 9 edges,
    its deciles; so are the scores on each of the first 8 components, between `score_edges` (8 × 9). No more than
    one image in a thousand exceeds `outlier_threshold`, a distance from the mean in those variances.
    """

    name: str
    label_counts: NDArray[np.int64]
    class_means: NDArray[np.float32]
    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    variances: NDArray[np.float32]
    residual_variance: float
    outlier_threshold: float
    ink_edges: NDArray[np.float32]
    ink_counts: NDArray[np.int64]
    score_edges: NDArray[np.float32]
    score_counts: NDArray[np.int64]

    @property
    def n_rows(self) -> int:
        """Count the images that it was made of."""
        return int(self.label_counts.sum())
