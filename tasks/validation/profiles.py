"""Make a profile of a frame, and measure images by a profile."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import iadd
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

import numpy as np
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from artifacts.store import reference_profile
from schemas.digits import CLASSES, PIXEL_COUNT, SIDE
from schemas.pixel_frame import BLOCK, blocks
from schemas.profile import Profile
from tasks.sharding.memory import WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from schemas.images import Images

Result = TypeVar("Result")

COMPONENTS = 64
COUNTED = 8
"""Components whose scores are counted; all of them make the distance."""
SAMPLE = 10_000
"""Rows, evenly spread and half of them at most, that the components are found on; the counts are of all rows."""
EDGED = 200_000
"""Rows, evenly spread, that the edges are set on, and the distance that few are beyond."""
COUNTED_ROWS = BLOCK // 4
"""Rows of a block to count: products with so few directions take less time while it stays in the nearer cache."""
PIECE = 8 * BLOCK
"""Rows that are counted at a time: whole blocks, so that the rounding is that of all rows at once."""
FURTHEST = 0.999
BRIGHT_WARNED, BRIGHT_REFUSED = 0.01, 0.5
"""Shares of images brighter along the border than within: from which to warn, and from which ink is dark on bright."""
DECILES = np.arange(1, 10) / 10
EMBEDDED = Path(__file__).parents[2] / "data" / "mnist-reference.npz"


class PcaBasis(NamedTuple):
    """About what, and along what, images vary: fields of a profile."""

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    variances: NDArray[np.float32]
    residual_variance: float


class ImageStats(NamedTuple):
    """What is measured of images, rows in the same order; `class_sums` (10 × 784) are those of their pixels.

    `bright` tells whether the border is brighter than what is within.
    """

    labels: NDArray[np.uint8]
    ink: NDArray[np.float32]
    scores: NDArray[np.float32]
    distance: NDArray[np.float32]
    bright: NDArray[np.bool_]
    class_sums: NDArray[np.float64]


class BinEdges(NamedTuple):
    """Between what images are counted, of some profile: their mean ink, and their product with each direction."""

    ink: NDArray[np.float32]
    directions: NDArray[np.float32]
    products: NDArray[np.float32]

    @classmethod
    def about(cls, basis: PcaBasis, ink: NDArray[np.float32], scores: NDArray[np.float32]) -> Self:
        """Give those of a profile by its basis. Scores are of images less their mean: the edges are moved instead."""
        directions = basis.components[: len(scores)]
        return cls(ink, directions, scores + (directions @ basis.mean)[:, None])


@dataclass
class Histograms:
    """How images fall between the edges of a profile, how many are bright along the border, sums of each class."""

    labels: NDArray[np.int64]
    ink: NDArray[np.int64]
    scores: NDArray[np.int64]
    bright: int
    class_sums: NDArray[np.float64]

    def __iadd__(self, other: Histograms) -> Self:
        """Add those of other images, by the same profile."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        return self

    @property
    def class_means(self) -> NDArray[np.float32]:
        """Give the mean image of each class, 10 × 784."""
        return _class_means(self.class_sums, self.labels)


def embedded() -> Profile:
    """Give the profile of the embedded MNIST's training part."""
    return reference_profile.read(EMBEDDED)


def fit_profile(images: Images, name: str, *others: Profile) -> tuple[Profile, list[Histograms]]:
    """Make the profile of at least one image, and count the images by the edges of other profiles.

    The components are found on at most 10,000 rows and the edges set on at most 200,000, evenly spread both, so that
    memory is bounded; the counts are of all rows. The rows alone decide, not in which pieces they are read.
    """
    fitted = slice(None, None, max(2, -(-len(images) // SAMPLE)))
    edged = slice(None, None, -(-len(images) // EDGED))
    basis = _basis(images.read(fitted).astype(np.float32))
    measured = measure(images.read(edged), images.labels[edged], basis)
    # Of those that the components weren't fitted to: images to come are no nearer than they are.
    unfitted = measured.distance[np.arange(len(images))[edged] % fitted.step != 0]
    # Halfway between values that occur: many images of one value must not fall on either side of an edge by rounding.
    ink_edges = np.quantile(measured.ink, DECILES, method="midpoint").astype(np.float32)
    counted = measured.scores[:, :COUNTED]
    score_edges = np.quantile(counted, DECILES, axis=0, method="midpoint").T.astype(np.float32)
    counts, *by_others = _count(images, [BinEdges.about(basis, ink_edges, score_edges), *map(_edges_of, others)])
    profile = Profile(
        name=name,
        label_counts=counts.labels,
        class_means=counts.class_means,
        **basis._asdict(),
        outlier_threshold=float(np.quantile(unfitted, FURTHEST, method="higher")) if len(unfitted) else float("inf"),
        ink_edges=ink_edges,
        ink_counts=counts.ink,
        score_edges=score_edges,
        score_counts=counts.scores,
    )
    return profile, by_others


def count(images: Images, profile: Profile) -> Histograms:
    """Count at least one image by the edges of a profile."""
    return _count(images, [_edges_of(profile)])[0]


def _count(images: Images, edges: Sequence[BinEdges]) -> list[Histograms]:
    """Count images by each of the edges, piece by piece, all in one pass."""

    def counted(piece: slice) -> list[Histograms]:
        return _counts_by(edges, images.read(piece), images.labels[piece])

    pieces = (slice(start, start + PIECE) for start in range(0, len(images), PIECE))
    return reduce(lambda so_far, more: list(map(iadd, so_far, more)), _in_threads(counted, pieces))


def _in_threads(act: Callable[[slice], Result], pieces: Iterable[slice]) -> list[Result]:
    """Do something with pieces, some at a time; give what comes of them in their order.

    The products within a piece are its thread's alone: BLAS' own threads gain little on ones so narrow and wait for
    each other, spinning: several times as long where other processes are busy, too.
    """
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(act, pieces))


def _counts_by(edges: Sequence[BinEdges], pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> list[Histograms]:
    """Count images by each of the edges; all that is needed of a block of them is one product."""
    directions = np.concatenate([_FIXED, *(one.directions for one in edges)]).T
    products = np.empty((len(pixels), directions.shape[1]), np.float32)
    sums = np.zeros((len(CLASSES), PIXEL_COUNT))
    for block in blocks(len(pixels), COUNTED_ROWS):
        images = pixels[block].astype(np.float32)
        products[block] = images @ directions
        sums += _class_sums(images, labels[block])
    whole, border_less_within = products[:, : len(_FIXED)].T
    of_labels, bright = np.bincount(labels, minlength=len(CLASSES)), int((border_less_within > 0).sum())
    along = products.T[len(_FIXED) :].reshape(len(edges), -1, len(pixels))
    return [
        Histograms(of_labels, _between(whole / PIXEL_COUNT, one.ink), _each_between(found, one.products), bright, sums)
        for one, found in zip(edges, along, strict=True)
    ]


def measured_by(profile: Profile, pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> ImageStats:
    """Measure images (rows × 784) with their labels, true or predicted, by what a profile's images vary along."""
    return measure(pixels, labels, _basis_of(profile))


def _basis_of(profile: Profile) -> PcaBasis:
    return PcaBasis(*(getattr(profile, name) for name in PcaBasis._fields))


def _edges_of(profile: Profile) -> BinEdges:
    return BinEdges.about(_basis_of(profile), profile.ink_edges, profile.score_edges)


def counts_of(measured: ImageStats, profile: Profile) -> Histograms:
    """Count images by the edges of the profile that they were measured by."""
    return Histograms(
        labels=np.bincount(measured.labels, minlength=len(CLASSES)),
        ink=_between(measured.ink, profile.ink_edges),
        scores=_each_between(measured.scores.T[:COUNTED], profile.score_edges),
        bright=int(measured.bright.sum()),
        class_sums=measured.class_sums,
    )


def bright_share(pixels: NDArray[np.uint8]) -> float:
    """Give the share of images (rows × 784) that are brighter along their border than within; 0 of none."""
    return float(_bright(pixels.astype(np.float32)).mean()) if len(pixels) else 0.0


def bright_told(share: float) -> str:
    """Tell of images that are brighter along their border, when too many are."""
    return f"{share:.1%} of the images are brighter at the border than within"


def measure(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], basis: PcaBasis) -> ImageStats:
    """Measure images in one pass.

    The distance is Mahalanobis' under probabilistic principal components (Tipping and Bishop 1999): squared scores over
    the components' variances, and what is left of an image over that of every other direction.
    """
    rows = len(pixels)
    ink, distance, bright = np.empty(rows, np.float32), np.empty(rows, np.float32), np.empty(rows, bool)
    scores = np.empty((rows, len(basis.components)), np.float32)
    sums = np.zeros((len(CLASSES), PIXEL_COUNT))

    def measured(block: slice) -> NDArray[np.float32]:
        images = pixels[block].astype(np.float32)
        ink[block], bright[block] = images.mean(axis=1), _bright(images)
        class_sums = _class_sums(images, labels[block])
        images -= basis.mean
        scores[block] = images @ basis.components.T
        squares = scores[block] ** 2
        left = np.einsum("ij,ij->i", images, images) - squares.sum(axis=1)
        distance[block] = squares @ (1 / basis.variances) + left / basis.residual_variance
        return class_sums

    for of_block in _in_threads(measured, blocks(rows)):
        sums += of_block
    return ImageStats(labels, ink, scores, distance, bright, sums)


def _basis(sample: NDArray[np.float32]) -> PcaBasis:
    """Find the principal components; those that so few rows don't have are 0, of the residual's variance."""
    mean = sample.mean(axis=0)
    components = np.zeros((COMPONENTS, PIXEL_COUNT), np.float32)
    variances = np.zeros(COMPONENTS, np.float32)
    found = min(COMPONENTS, len(sample) - 1)
    if found:
        solver = "covariance_eigh" if len(sample) > PIXEL_COUNT else "full"
        with threadpool_limits(1, "blas"):  # see _in_threads
            pca = PCA(found, svd_solver=solver).fit(sample)
        components[:found], variances[:found] = pca.components_, pca.explained_variance_
    left = float(((sample - mean) ** 2).sum(axis=1).mean() - variances.sum())
    residual_variance = max(left, 1.0) / (PIXEL_COUNT - COMPONENTS)
    return PcaBasis(mean, components, np.maximum(variances, residual_variance), residual_variance)


def _bright(images: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(images @ _BORDER_LESS_WITHIN > 0)


def _border_less_within() -> NDArray[np.float32]:
    """Give what, multiplied with an image, is the mean of its border less the mean of what is within."""
    border = np.ones((SIDE, SIDE), bool)
    border[1:-1, 1:-1] = False
    return np.asarray(np.where(border, 1 / border.sum(), -1 / (~border).sum()), np.float32).ravel()


_BORDER_LESS_WITHIN = _border_less_within()
_FIXED = np.stack([np.ones(PIXEL_COUNT, np.float32), _BORDER_LESS_WITHIN])
"""What images are multiplied with whatever profile they are counted by."""


def _class_sums(images: NDArray[np.float32], labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Sum the images of each class; exact, of a block's few."""
    return np.asarray((labels == np.array(CLASSES)[:, None]).astype(np.float32) @ images)


def _class_means(sums: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float32]:
    return (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)


def _each_between(values: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.int64]:
    """Count the values of each row between edges of its own."""
    return np.stack([_between(*pair) for pair in zip(values, edges, strict=True)])


def _between(values: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.int64]:
    # So many are at or beyond each edge: nine comparisons of all at once, in a fifth of the time of a search for each.
    reached = [np.count_nonzero(values >= edge) for edge in edges]
    return -np.diff([len(values), *reached, 0])
