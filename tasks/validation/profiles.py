"""Fit a reference profile to images, and compute the statistics and histograms of images by a profile."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from threadpoolctl import threadpool_limits

from artifacts.store import version_files
from schemas.digits import CLASSES, PIXEL_COUNT, SIDE
from schemas.images import Images, InMemoryImages
from schemas.pixel_frame import BLOCK_ROWS, blocks
from schemas.profile import Profile
from tasks.scoring import measures
from tasks.validation.threads import map_in_threads

COMPONENTS = 64
N_SCORES = 8
"""Components whose scores are counted in histograms; the distance uses all components."""
MAX_FITTED_ROWS = 10_000
"""Rows, evenly spread and at most half of all, that components and percentiles are computed from."""
MAX_MEASURED_ROWS = 200_000
"""Rows of a part, chosen at random, that profiles and histograms are computed from."""
STATS_BLOCK_ROWS = BLOCK_ROWS // 4
"""Rows of a matrix product: with few columns, it is faster while the rows stay in a near cache."""
OUTLIER_QUANTILE = 0.999
MAX_BRIGHT_SHARE, INVERTED_SHARE = 0.01, 0.5
"""Shares of images that are brighter at the border than inside: above the first warn, from the second reject."""
DECILES = np.arange(1, 10) / 10
EMBEDDED = Path(__file__).parents[2] / "data" / "mnist-reference.npz"


class PcaBasis(NamedTuple):
    """The mean and principal components of images, as in a profile."""

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    variances: NDArray[np.float32]
    residual_variance: float


class ImageStats(NamedTuple):
    """Statistics of each image (`bright`: brighter at the border than inside), and pixel sums by class (10 × 784)."""

    labels: NDArray[np.uint8]
    ink: NDArray[np.float32]
    scores: NDArray[np.float32]
    distance: NDArray[np.float32]
    bright: NDArray[np.bool_]
    class_sums: NDArray[np.float64]


@dataclass
class Histograms:
    """Numbers of images by label, by bin of ink and scores, and with a bright border; pixel sums of each class."""

    labels: NDArray[np.int64]
    ink: NDArray[np.int64]
    scores: NDArray[np.int64]
    bright: int
    class_sums: NDArray[np.float64]

    def __iadd__(self, other: Histograms) -> Self:
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        return self

    @property
    def class_means(self) -> NDArray[np.float32]:
        """The mean image of each class, 10 × 784; 0 for a class without images."""
        return (self.class_sums / np.maximum(self.labels, 1)[:, None]).astype(np.float32)


def load_embedded() -> Profile:
    """Load the profile of the embedded MNIST's training part."""
    return version_files.read_profile(EMBEDDED)


def take_sample(images: Images) -> InMemoryImages:
    """Read all images, or 200,000 of them chosen at random: every n-th could lack digits of an ordered source."""
    if len(images) <= MAX_MEASURED_ROWS:
        return InMemoryImages(images.read(slice(None)), images.labels)
    rows = np.sort(np.random.default_rng(0).choice(len(images), MAX_MEASURED_ROWS, replace=False))
    return InMemoryImages(images.read(rows), images.labels[rows])


def fit_profile(sample: InMemoryImages, name: str) -> Profile:
    """Fit a profile to at least one image; components and percentiles to at most 10,000 images, evenly spread."""
    fit_rows = slice(None, None, max(2, -(-len(sample) // MAX_FITTED_ROWS)))
    fit_pixels = sample.pixels[fit_rows]
    basis = _fit_basis(fit_pixels.astype(np.float32))
    stats = compute_stats(sample.pixels, sample.labels, basis)
    # Only of rows that the components weren't fitted to, like future images.
    distances = stats.distance[np.arange(len(sample)) % fit_rows.step != 0]
    # Midpoints of values that occur: rounding must not move many images of one value across an edge.
    ink_edges = np.quantile(stats.ink, DECILES, method="midpoint").astype(np.float32)
    scores = stats.scores[:, :N_SCORES]
    score_edges = np.quantile(scores, DECILES, axis=0, method="midpoint").T.astype(np.float32)
    histograms = _count(stats, ink_edges, score_edges)
    outlier_threshold = np.quantile(distances, OUTLIER_QUANTILE, method="higher") if len(distances) else np.inf
    return Profile(
        name=name,
        label_counts=histograms.labels,
        class_means=histograms.class_means,
        **basis._asdict(),
        outlier_threshold=float(outlier_threshold),
        ink_edges=ink_edges,
        ink_counts=histograms.ink,
        score_edges=score_edges,
        score_counts=histograms.scores,
        percentiles=_percentiles(fit_pixels),
    )


def _percentiles(sample: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return the percentiles of each measure of images."""
    pieces = map_in_threads(lambda piece: measures.measure(sample[piece]), blocks(len(sample)))
    values = [np.concatenate(each) for each in zip(*pieces, strict=True)]
    percentiles = np.percentile(values, measures.PERCENTS, axis=1).T.astype(np.float32)
    return {measure.name: each for measure, each in zip(measures.MEASURES, percentiles, strict=True)}


def compute_histograms(images: Images, profile: Profile) -> Histograms:
    """Compute the histograms of at least one image, of a sample if there are many, by the bin edges of a profile."""
    sample = take_sample(images)
    basis = PcaBasis(
        profile.mean, profile.components[:N_SCORES], profile.variances[:N_SCORES], profile.residual_variance
    )
    return histograms_of_stats(compute_stats(sample.pixels, sample.labels, basis), profile)


def histograms_of_stats(stats: ImageStats, profile: Profile) -> Histograms:
    """Compute histograms from statistics that were computed by the same profile."""
    return _count(stats, profile.ink_edges, profile.score_edges)


def _count(stats: ImageStats, ink_edges: NDArray[np.float32], score_edges: NDArray[np.float32]) -> Histograms:
    return Histograms(
        labels=np.bincount(stats.labels, minlength=len(CLASSES)),
        ink=_count_bins(stats.ink, ink_edges),
        scores=np.stack(list(map(_count_bins, stats.scores.T, score_edges))),
        bright=int(stats.bright.sum()),
        class_sums=stats.class_sums,
    )


def bright_share(pixels: NDArray[np.uint8]) -> float:
    """Return the share of images (rows × 784) that are brighter at the border than inside; 0 if there are none."""
    return float((pixels.astype(np.float32) @ _BORDER_CONTRAST > 0).mean()) if len(pixels) else 0.0


def bright_message(share: float) -> str:
    """Return the warning for a share of images that are brighter at the border than inside."""
    return f"{share:.1%} of the images are brighter at the border than inside"


def compute_stats(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], basis: PcaBasis | Profile) -> ImageStats:
    """Compute the statistics of images (rows × 784) with their labels, true or predicted, in one pass.

    The distance is the squared Mahalanobis distance under probabilistic PCA (Tipping and Bishop 1999): squared scores
    over the components' variances, plus the squared residual over the variance of all other directions.
    """
    n_rows = len(pixels)
    ink, distance, bright = np.empty(n_rows, np.float32), np.empty(n_rows, np.float32), np.empty(n_rows, bool)
    scores = np.empty((n_rows, len(basis.components)), np.float32)

    def process_block(block: slice) -> NDArray[np.float32]:
        images = pixels[block].astype(np.float32)
        sums, border_contrast = (images @ _INK_AND_BORDER).T
        ink[block], bright[block] = sums / PIXEL_COUNT, border_contrast > 0
        block_sums = _class_sums(images, labels[block])
        images -= basis.mean
        scores[block] = images @ basis.components.T
        squares = scores[block] ** 2
        residual = np.einsum("ij,ij->i", images, images) - squares.sum(axis=1)
        distance[block] = squares @ (1 / basis.variances) + residual / basis.residual_variance
        return block_sums

    class_sums = np.zeros((len(CLASSES), PIXEL_COUNT))
    for block_sums in map_in_threads(process_block, blocks(n_rows, STATS_BLOCK_ROWS)):
        class_sums += block_sums
    return ImageStats(labels, ink, scores, distance, bright, class_sums)


def _fit_basis(sample: NDArray[np.float32]) -> PcaBasis:
    """Fit the principal components; with too few rows, the last components are 0 and have the residual variance."""
    mean = sample.mean(axis=0)
    components = np.zeros((COMPONENTS, PIXEL_COUNT), np.float32)
    variances = np.zeros(COMPONENTS, np.float32)
    centred = sample - mean
    if n_fitted := min(COMPONENTS, len(sample) - 1):
        with threadpool_limits(1, "blas"):  # see map_in_threads
            covariance = centred.T @ centred / (len(sample) - 1)
            ascending, vectors = eigh(covariance, subset_by_index=(PIXEL_COUNT - n_fitted, PIXEL_COUNT - 1))
        variances[:n_fitted], components[:n_fitted] = ascending[::-1], vectors.T[::-1]
    # An eigenvector's sign is arbitrary: its largest entry is made positive.
    components *= np.where(components.max(axis=1) < -components.min(axis=1), -1, 1)[:, None]
    residual = float((centred**2).sum(axis=1).mean() - variances.sum())
    residual_variance = max(residual, 1.0) / (PIXEL_COUNT - COMPONENTS)
    return PcaBasis(mean, components, np.maximum(variances, residual_variance), residual_variance)


_BORDER = np.pad(np.zeros((SIDE - 2, SIDE - 2), bool), 1, constant_values=True).ravel()
_BORDER_CONTRAST = np.where(_BORDER, 1 / _BORDER.sum(), -1 / (~_BORDER).sum()).astype(np.float32)
"""Projection of an image on it: the mean of the border minus the mean of the inside."""
_INK_AND_BORDER = np.stack([np.ones(PIXEL_COUNT, np.float32), _BORDER_CONTRAST], axis=1)


def _class_sums(images: NDArray[np.float32], labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Sum the images of each class; exact in single precision, since a block has few rows."""
    return np.asarray((labels == np.array(CLASSES)[:, None]).astype(np.float32) @ images)


def _count_bins(values: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.int64]:
    # Nine comparisons of all values at once take a fifth of the time of a binary search for each value.
    n_at_least = [np.count_nonzero(values >= edge) for edge in edges]
    return -np.diff([len(values), *n_at_least, 0])
