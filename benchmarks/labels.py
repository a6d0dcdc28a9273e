"""Measure the checks of labels: right labels of several handwritings, and wrong labels of MNIST.

`python benchmarks/labels.py FOLDER` writes `labels.md`, with `--store STORE` and its champion `labels-champion.md`. The
folder may hold further sets, each an .npz file of `x` (28 × 28 images) and `y`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from artifacts.store.store import Store
from schemas.images import InMemoryImages
from schemas.validation import LabelAgreement
from tasks.sources import mnist
from tasks.validation import labels, profiles

HERE = Path(__file__).parent
FASHION = HERE.parent / "tests" / "data" / "fashion-mnist-1000.npz"
SIZES = (100, 200, 500, 1_000, 5_000)
SAMPLES = 20
TEMPLATE = """\
# Checks of labels, measured{title}

`python benchmarks/labels.py FOLDER{flag}` writes this page; FOLDER holds the sets other than MNIST, Fashion-MNIST and
scikit-learn's digits. Each cell is the number of {samples} random samples whose labels the checks refuse, and {share}
A permutation counts if it is named rightly.

## Right labels

{right}

## Wrong labels of MNIST

{wrong}
"""


class Sampler(NamedTuple):
    """Measures labels of random samples; `is_by_champion` if a champion's agreement counts, not contradicted labels."""

    checker: labels.LabelChecker
    random: np.random.Generator
    is_by_champion: bool

    def cell(self, images: InMemoryImages, size: int, *, are_right: bool) -> str:
        """Return the number of refused samples, and the least favourable share of their labels."""
        if size > len(images):
            return ""
        agreements = [self.measure(images, size) for _ in range(SAMPLES)]
        shares = [one.champion or 0.0 if self.is_by_champion else one.contradicted for one in agreements]
        share = min(shares) if are_right == self.is_by_champion else max(shares)
        return f"{sum(bool(labels.fault(agreement)) for agreement in agreements)} ({share:.1%})"

    def measure(self, images: InMemoryImages, size: int) -> LabelAgreement:
        """Measure the agreement of a random sample."""
        return self.checker.measure(images.take(self.random.permutation(len(images))[:size]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="folder with further sets")
    parser.add_argument("--store", help="store whose champion answers, too")
    options = parser.parse_args()
    champion = champion_of(Store(options.store)) if options.store else None
    checker = labels.LabelChecker(profiles.load_embedded(), champion)
    share = (
        "the lowest agreement with\nthe champion among them; for wrong labels, the highest."
        if champion
        else "the highest share\nof contradicted labels among them; for wrong labels, the lowest. There is no champion."
    )
    page = TEMPLATE.format(
        title=" with a champion" if champion else "",
        flag=" --store STORE" if champion else "",
        samples=SAMPLES,
        share=share,
        right=right_labels(options.folder, Sampler(checker, np.random.default_rng(0), champion is not None)),
        wrong=wrong_labels(Sampler(checker, np.random.default_rng(0), champion is not None)),
    )
    print(page)
    HERE.joinpath("labels-champion.md" if champion else "labels.md").write_text(page)


def champion_of(store: Store) -> labels.PredictDigits:
    from tasks.inference import loader

    version = store.resolve_version()
    predict = loader.load_version(store.verified_dir(version), version)
    return lambda pixels: predict(pixels).argmax(axis=1)


def right_labels(folder: Path | None, sampler: Sampler) -> str:
    """Return a table of refused samples with right labels."""
    lines = [header("set")]
    for name, images in sets(folder):
        cells = [sampler.cell(images, size, are_right=True) for size in SIZES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def wrong_labels(sampler: Sampler) -> str:
    """Return a table of refused samples of MNIST with wrong labels."""
    random, images = sampler.random, embedded()
    lines = [header("labels")]
    for share in (0.1, 0.3, 1.0):
        is_random = random.random(len(images)) < share
        wrong = np.where(is_random, random.integers(0, 10, len(images)), images.labels).astype(np.uint8)
        cells = [sampler.cell(replace(images, labels=wrong), size, are_right=False) for size in SIZES]
        lines.append(f"| random, {share:.0%} | {' | '.join(cells)} |")
    for kind, length in {"swaps of two": 2, "cycles of three": 3}.items():
        found = [count_found(images, size, length, sampler) for size in SIZES]
        lines.append(f"| {kind}, each once | {' | '.join(found)} |")
    return "\n".join(lines)


def count_found(images: InMemoryImages, size: int, length: int, sampler: Sampler) -> str:
    """Return how many of all permutations of `length` digits are named rightly."""
    found = n_permutations = 0
    for group in combinations(range(10), length):
        for turn in range(1, length):
            permutation = np.arange(10, dtype=np.uint8)
            permutation[list(group)] = np.roll(group, turn)
            agreement = sampler.measure(replace(images, labels=permutation[images.labels]), size)
            found += agreement.digits == tuple(np.argsort(permutation))
            n_permutations += 1
    return f"{found} of {n_permutations}"


def sets(folder: Path | None) -> Iterator[tuple[str, InMemoryImages]]:
    yield "MNIST", embedded()
    images, digits = load_digits(return_X_y=True)
    small = (images * 255 / 16).astype(np.uint8).reshape(-1, 8, 8)
    for side in (28, 20):
        resized = np.stack([np.asarray(Image.fromarray(image).resize((side, side))) for image in small])
        margin = (28 - side) // 2
        padded = np.pad(resized, ((0, 0), (margin, margin), (margin, margin)))
        yield f"scikit-learn's digits, {side} × {side}", images_of(padded, digits)
    with np.load(FASHION) as archive:
        yield "Fashion-MNIST", images_of(archive["x"], archive["y"])
    for path in sorted(folder.glob("*.npz")) if folder else ():
        with np.load(path) as archive:
            yield path.stem, images_of(archive["x"], archive["y"])


def embedded() -> InMemoryImages:
    """Return MNIST's test digits, which the reference wasn't fitted to."""
    with np.load(mnist.PATH) as archive:
        return images_of(archive["x_test"], archive["y_test"])


def images_of(images: NDArray[np.uint8], labels: NDArray[np.integer]) -> InMemoryImages:
    """Return images (rows × 28 × 28) with their labels."""
    return InMemoryImages(images.reshape(-1, 784), labels.astype(np.uint8))


def header(title: str) -> str:
    """Return the head of a table with a column for each size."""
    return f"| {title} | {' | '.join(f'{size:,} rows' for size in SIZES)} |\n|---|{'--:|' * len(SIZES)}"


if __name__ == "__main__":
    main()
