"""Measure the checks of labels: right labels of several handwritings, and wrong labels of MNIST.

`python benchmarks/labels.py FOLDER` writes `labels.md`. The folder may hold further sets, each an .npz file of `x`
(28 × 28 images) and `y`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from schemas.images import InMemoryImages
from schemas.validation import LabelAgreement
from tasks.sources import mnist
from tasks.validation import labels, profiles

PAGE = Path(__file__).with_suffix(".md")
SIZES = (100, 200, 500, 1_000, 5_000)
SAMPLES = 20
INTRODUCTION = f"""\
# Checks of labels, measured

`python benchmarks/labels.py FOLDER` writes this page; FOLDER holds the sets other than MNIST and scikit-learn's digits.
Each cell is the number of {SAMPLES} random samples whose labels the checks refuse, without a champion, and the highest
share of contradicted labels among them; for wrong labels, the lowest. A permutation counts if it is named rightly."""
Rows = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def main() -> None:
    """Print the tables and write them to `labels.md`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="folder with further sets")
    folder = parser.parse_args().folder
    text = (
        f"{INTRODUCTION}\n\n## Right labels\n\n{right_labels(folder)}\n\n## Wrong labels of MNIST\n\n{wrong_labels()}\n"
    )
    print(text)
    PAGE.write_text(text)


def right_labels(folder: Path | None) -> str:
    """Return a table of refused samples with right labels."""
    random = np.random.default_rng(0)
    lines = [header("set")]
    for name, (pixels, digits) in sets(folder):
        cells = [cell(pixels, digits, size, random, max) for size in SIZES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def wrong_labels() -> str:
    """Return a table of refused samples of MNIST with wrong labels."""
    random = np.random.default_rng(0)
    pixels, digits = embedded()
    lines = [header("labels")]
    for share in (0.1, 0.3, 1.0):
        is_random = random.random(len(digits)) < share
        wrong = np.where(is_random, random.integers(0, 10, len(digits)), digits).astype(np.uint8)
        lines.append(f"| random, {share:.0%} | {' | '.join(cell(pixels, wrong, n, random, min) for n in SIZES)} |")
    by_kind = {"swaps of two": 2, "cycles of three": 3}
    for kind, length in by_kind.items():
        found = [count_found(pixels, digits, size, length, random) for size in SIZES]
        lines.append(f"| {kind}, each once | {' | '.join(found)} |")
    return "\n".join(lines)


def cell(
    pixels: NDArray[np.uint8],
    given: NDArray[np.uint8],
    size: int,
    random: np.random.Generator,
    extreme: Callable[[Iterable[float]], float],
) -> str:
    """Return the number of refused samples and the highest or lowest share of contradicted labels."""
    if size > len(given):
        return ""
    agreements = [measure(pixels, given, size, random) for _ in range(SAMPLES)]
    share = extreme(agreement.contradicted for agreement in agreements)
    return f"{sum(bool(labels.fault(agreement)) for agreement in agreements)} ({share:.1%})"


def count_found(
    pixels: NDArray[np.uint8], digits: NDArray[np.uint8], size: int, length: int, random: np.random.Generator
) -> str:
    """Return how many of all permutations of `length` digits are named rightly."""
    found = n_permutations = 0
    for group in combinations(range(10), length):
        for turn in range(1, length):
            permutation = np.arange(10, dtype=np.uint8)
            permutation[list(group)] = np.roll(group, turn)
            agreement = measure(pixels, permutation[digits], size, random)
            found += agreement.digits == tuple(np.argsort(permutation))
            n_permutations += 1
    return f"{found} of {n_permutations}"


def measure(
    pixels: NDArray[np.uint8], given: NDArray[np.uint8], size: int, random: np.random.Generator
) -> LabelAgreement:
    """Measure the agreement of a random sample."""
    rows = random.permutation(len(given))[:size]
    return CHECKER.measure(InMemoryImages(pixels[rows], given[rows]))


def sets(folder: Path | None) -> Iterator[tuple[str, Rows]]:
    """Yield the names and rows of all sets."""
    yield "MNIST", embedded()
    images, digits = load_digits(return_X_y=True)
    small = (images * 255 / 16).astype(np.uint8).reshape(-1, 8, 8)
    for side in (28, 20):
        resized = np.stack([np.asarray(Image.fromarray(image).resize((side, side))) for image in small])
        margin = (28 - side) // 2
        padded = np.pad(resized, ((0, 0), (margin, margin), (margin, margin)))
        yield f"scikit-learn's digits, {side} × {side}", (padded.reshape(-1, 784), digits.astype(np.uint8))
    for path in sorted(folder.glob("*.npz")) if folder else ():
        with np.load(path) as archive:
            yield path.stem, (archive["x"].reshape(-1, 784), archive["y"].astype(np.uint8))


def embedded() -> Rows:
    """Return MNIST's test digits, which the reference wasn't fitted to."""
    with np.load(mnist.PATH) as archive:
        return archive["x_test"].reshape(-1, 784), archive["y_test"]


def header(title: str) -> str:
    """Return the head of a table with a column for each size."""
    return f"| {title} | {' | '.join(f'{size:,} rows' for size in SIZES)} |\n|---|{'--:|' * len(SIZES)}"


CHECKER = labels.LabelChecker(profiles.load_embedded())

if __name__ == "__main__":
    main()
