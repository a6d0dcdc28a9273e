"""The reference profile: statistics of a dataset's images, against which drift is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # NumPy takes a tenth of a second, which `--help` would wait for
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Profile:
    """Statistics of labelled images.

    `class_means` is 10 × 784, 0 for a class without images. Images vary about `mean` along the principal `components`
    (64 × 784, with `variances`) and by `residual_variance` in every other direction. `ink_counts` is the histogram of
    mean ink between the 9 `ink_edges`, its deciles. `score_counts` holds a histogram of the scores on each of the first
    8 components, between `score_edges` (8 × 9). At most one image in a thousand exceeds `outlier_threshold`, a
    Mahalanobis distance. `percentiles` holds the 1st to 99th percentile of each measure of `tasks/scoring/measures.py`;
    a profile that an older release wrote has none.
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
    percentiles: Mapping[str, NDArray[np.float32]]

    @property
    def n_rows(self) -> int:
        return int(self.label_counts.sum())
