"""Fit a reference profile to images, and measure images against a profile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import iadd
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from artifacts.store import reference_profile
from schemas.digits import CLASSES, PIXEL_COUNT, SIDE
from schemas.images import Images
from schemas.pixel_frame import BLOCK_ROWS, blocks
from schemas.profile import Profile
from tasks.sharding.memory import WORKERS

Result = TypeVar("Result")

COMPONENTS = 64
N_SCORES = 8
"""Components whose scores are counted in histograms; the distance uses all components."""
MAX_FITTED_ROWS = 10_000
"""Rows, evenly spread and at most half of all, that the components are fitted to; histograms count all rows."""
MAX_MEASURED_ROWS = 200_000
"""Rows, evenly spread, that the bin edges and the outlier threshold are computed from."""
COUNTED_ROWS = BLOCK_ROWS // 4
"""Rows to count at a time: a product with few directions takes less time while the rows stay in the nearer cache."""
PIECE_ROWS = 8 * BLOCK_ROWS
"""Rows that a thread counts: whole blocks, so that the rounding is that of all rows at once."""
OUTLIER_QUANTILE = 0.999
MAX_BRIGHT_SHARE, INVERTED_SHARE = 0.01, 0.5
"""Shares of images that are brighter at the border than inside: above the first, warn; from the second on, refuse."""
DECILES = np.arange(1, 10) / 10
EMBEDDED = Path(__file__).parents[2] / "data" / "mnist-reference.npz"


class PcaBasis(NamedTuple):
    """The mean of images and the principal components along which they vary: fields of a profile."""

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    variances: NDArray[np.float32]
    residual_variance: float


class ImageStats(NamedTuple):
    """Statistics of single images, whether each is bright at the border, and the sums of each class's (10 × 784)."""

    labels: NDArray[np.uint8]
    ink: NDArray[np.float32]
    scores: NDArray[np.float32]
    distance: NDArray[np.float32]
    bright: NDArray[np.bool_]
    class_sums: NDArray[np.float64]


class BinEdges(NamedTuple):
    """The edges of a profile's histograms: of mean ink, and of the product with each direction.

    Scores are of images minus the mean. The edges are shifted instead, so that images can be multiplied as they are.
    """

    ink: NDArray[np.float32]
    directions: NDArray[np.float32]
    products: NDArray[np.float32]

    @classmethod
    def of_basis(cls, basis: PcaBasis | Profile, ink: NDArray[np.float32], scores: NDArray[np.float32]) -> Self:
        directions = basis.components[: len(scores)]
        return cls(ink, directions, scores + (directions @ basis.mean)[:, None])

    @classmethod
    def of_profile(cls, profile: Profile) -> Self:
        return cls.of_basis(profile, profile.ink_edges, profile.score_edges)


@dataclass
class Histograms:
    """Counts of images by label and between a profile's bin edges, of images bright at the border; class sums."""

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
    """Return the profile of the embedded MNIST's training part."""
    return reference_profile.read(EMBEDDED)


def fit_profile(images: Images, name: str, *others: Profile) -> tuple[Profile, list[Histograms]]:
    """Fit a profile to at least one image, and count the images by the bin edges of other profiles.

    Components are fitted to at most 10,000 rows and edges computed from at most 200,000, both evenly spread, so that
    memory is bounded; histograms count all rows. The result doesn't depend on the pieces in which rows are read.
    """
    fit_rows = slice(None, None, max(2, -(-len(images) // MAX_FITTED_ROWS)))
    measure_rows = slice(None, None, -(-len(images) // MAX_MEASURED_ROWS))
    basis = _fit_basis(images.read(fit_rows).astype(np.float32))
    stats = compute_stats(images.read(measure_rows), images.labels[measure_rows], basis)
    # Of rows that the components weren't fitted to: future images are no nearer than these.
    distances = stats.distance[np.arange(len(images))[measure_rows] % fit_rows.step != 0]
    # Halfway between values that occur: many images of one value must not fall on either side of an edge by rounding.
    ink_edges = np.quantile(stats.ink, DECILES, method="midpoint").astype(np.float32)
    scores = stats.scores[:, :N_SCORES]
    score_edges = np.quantile(scores, DECILES, axis=0, method="midpoint").T.astype(np.float32)
    edges = [BinEdges.of_basis(basis, ink_edges, score_edges), *map(BinEdges.of_profile, others)]
    histograms, *by_others = _count(images, edges)
    outlier_threshold = np.quantile(distances, OUTLIER_QUANTILE, method="higher") if len(distances) else np.inf
    profile = Profile(
        name=name,
        label_counts=histograms.labels,
        class_means=histograms.class_means,
        **basis._asdict(),
        outlier_threshold=float(outlier_threshold),
        ink_edges=ink_edges,
        ink_counts=histograms.ink,
        score_edges=score_edges,
        score_counts=histograms.scores,
    )
    return profile, by_others


def compute_histograms(images: Images, profile: Profile) -> Histograms:
    """Count at least one image by the bin edges of a profile."""
    return _count(images, [BinEdges.of_profile(profile)])[0]


def _count(images: Images, edges: Sequence[BinEdges]) -> list[Histograms]:
    counts = _in_threads(
        lambda piece: _count_pixels(edges, images.read(piece), images.labels[piece]), blocks(len(images), PIECE_ROWS)
    )
    return reduce(lambda total, more: list(map(iadd, total, more)), counts)


def _in_threads(act: Callable[[slice], Result], pieces: Iterable[slice]) -> list[Result]:
    """Call a function on pieces in threads; return the results in the pieces' order.

    Each product is computed by its thread alone. BLAS' own threads gain little on products so narrow, and wait for each
    other by spinning: several times as long where other processes are busy, too.
    """
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(act, pieces))


def _count_pixels(edges: Sequence[BinEdges], pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> list[Histograms]:
    """Count images by several profiles' edges; each block of images takes only one product."""
    directions = np.concatenate([_FIXED, *(one.directions for one in edges)]).T
    products = np.empty((len(pixels), directions.shape[1]), np.float32)
    sums = np.zeros((len(CLASSES), PIXEL_COUNT))
    for block in blocks(len(pixels), COUNTED_ROWS):
        images = pixels[block].astype(np.float32)
        products[block] = images @ directions
        sums += _class_sums(images, labels[block])
    ink_sums, border_contrast = products[:, : len(_FIXED)].T
    n_labels, n_bright = np.bincount(labels, minlength=len(CLASSES)), int((border_contrast > 0).sum())
    scores = products.T[len(_FIXED) :].reshape(len(edges), -1, len(pixels))
    ink = ink_sums / PIXEL_COUNT
    return [
        Histograms(n_labels, _count_bins(ink, one.ink), _count_bins_by_row(along, one.products), n_bright, sums)
        for one, along in zip(edges, scores, strict=True)
    ]


def histograms_of_stats(measured: ImageStats, profile: Profile) -> Histograms:
    """Count images by the bin edges of the profile that they were measured by."""
    return Histograms(
        labels=np.bincount(measured.labels, minlength=len(CLASSES)),
        ink=_count_bins(measured.ink, profile.ink_edges),
        scores=_count_bins_by_row(measured.scores.T[:N_SCORES], profile.score_edges),
        bright=int(measured.bright.sum()),
        class_sums=measured.class_sums,
    )


def bright_share(pixels: NDArray[np.uint8]) -> float:
    """Return the share of images (rows × 784) that are brighter at the border than inside; 0 if there are none."""
    return float((pixels.astype(np.float32) @ _BORDER_CONTRAST > 0).mean()) if len(pixels) else 0.0


def bright_message(share: float) -> str:
    """Return the warning for a share of images that are brighter at the border than inside."""
    return f"{share:.1%} of the images are brighter at the border than within"


def compute_stats(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], basis: PcaBasis | Profile) -> ImageStats:
    """Measure images (rows × 784) with their labels, true or predicted, in one pass.

    The distance is Mahalanobis' under probabilistic principal components (Tipping and Bishop 1999): squared scores over
    the components' variances, and the rest of an image over the variance of all other directions.
    """
    n_rows = len(pixels)
    ink, distance, bright = np.empty(n_rows, np.float32), np.empty(n_rows, np.float32), np.empty(n_rows, bool)
    scores = np.empty((n_rows, len(basis.components)), np.float32)
    sums = np.zeros((len(CLASSES), PIXEL_COUNT))

    def measure_block(block: slice) -> NDArray[np.float32]:
        images = pixels[block].astype(np.float32)
        ink[block], bright[block] = images.mean(axis=1), images @ _BORDER_CONTRAST > 0
        class_sums = _class_sums(images, labels[block])
        images -= basis.mean
        scores[block] = images @ basis.components.T
        squares = scores[block] ** 2
        residual = np.einsum("ij,ij->i", images, images) - squares.sum(axis=1)
        distance[block] = squares @ (1 / basis.variances) + residual / basis.residual_variance
        return class_sums

    for of_block in _in_threads(measure_block, blocks(n_rows)):
        sums += of_block
    return ImageStats(labels, ink, scores, distance, bright, sums)


def _fit_basis(sample: NDArray[np.float32]) -> PcaBasis:
    """Fit the principal components; where rows are too few for all, the others are 0 with the residual variance."""
    mean = sample.mean(axis=0)
    components = np.zeros((COMPONENTS, PIXEL_COUNT), np.float32)
    variances = np.zeros(COMPONENTS, np.float32)
    n_fitted = min(COMPONENTS, len(sample) - 1)
    if n_fitted:
        solver = "covariance_eigh" if len(sample) > PIXEL_COUNT else "full"
        with threadpool_limits(1, "blas"):  # see _in_threads
            pca = PCA(n_fitted, svd_solver=solver).fit(sample)
        components[:n_fitted], variances[:n_fitted] = pca.components_, pca.explained_variance_
    residual = float(((sample - mean) ** 2).sum(axis=1).mean() - variances.sum())
    residual_variance = max(residual, 1.0) / (PIXEL_COUNT - COMPONENTS)
    return PcaBasis(mean, components, np.maximum(variances, residual_variance), residual_variance)


_BORDER = np.pad(np.zeros((SIDE - 2, SIDE - 2), bool), 1, constant_values=True).ravel()
_BORDER_CONTRAST = np.where(_BORDER, 1 / _BORDER.sum(), -1 / (~_BORDER).sum()).astype(np.float32)
"""Its product with an image is the mean of the border minus the mean of the inside."""
_FIXED = np.stack([np.ones(PIXEL_COUNT, np.float32), _BORDER_CONTRAST])
"""Directions that images are multiplied with for every profile: the sum of pixels, and the border contrast."""


def _class_sums(images: NDArray[np.float32], labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Sum the images of each class; exact, since a block has few."""
    return np.asarray((labels == np.array(CLASSES)[:, None]).astype(np.float32) @ images)


def _count_bins_by_row(values: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.stack(list(map(_count_bins, values, edges)))


def _count_bins(values: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.int64]:
    # Nine comparisons of all values at once take a fifth of the time of a binary search for each value.
    n_at_least = [np.count_nonzero(values >= edge) for edge in edges]
    return -np.diff([len(values), *n_at_least, 0])
