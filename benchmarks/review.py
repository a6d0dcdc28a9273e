"""Measure what 200 corrections of the review queue are worth when people write with another pen.

`python benchmarks/review.py` writes review.md. MNIST's test digits, drawn with another pen, are the new pictures: the
queue is filled from the first 2,000, the errors are counted on the other 8,000.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import api
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from artifacts.store import review
from artifacts.store.store import Store
from schemas.images import Images, InMemoryImages
from schemas.prediction import Predictor
from schemas.results import Dataset, InboxFile, TrainingResult
from schemas.rules import DEFAULT_RULES
from tasks.inbox import corrections, merger
from tasks.inference.start_up import import_tensorflow
from tasks.prediction.stream import predict_pixels
from tasks.reviewing import entries, queue

PAGE = Path(__file__).with_suffix(".md")
SEEDS = (1, 2, 3)
N_QUEUED, N_CORRECTED = 2_000, 200
Pixels = NDArray[np.uint8]
PENS: dict[str, Callable[[Pixels], Pixels]] = {
    "2 px thicker": lambda images: ndimage.grey_dilation(images, size=(1, 3, 3)),
    "3 px thicker": lambda images: ndimage.grey_dilation(images, size=(1, 4, 4)),
    "4 px thicker": lambda images: ndimage.grey_dilation(images, size=(1, 5, 5)),
    "1 px thinner": lambda images: ndimage.grey_erosion(images, size=(1, 2, 2)),
}
TEMPLATE = """# Corrections of the review queue, measured

`python benchmarks/review.py` writes this page. MNIST's test digits are drawn with another pen. A network of the recipe
`fast` predicts the first {n_queued:,}; the first {n_corrected} of the review queue get their true labels, as a person
would give them, in a CSV file; the same seed is trained again, with these pictures four times an epoch. Errors are
those on the other 8,000 pictures of this pen, and on MNIST's test digits as they are; medians of {n_seeds} seeds. The
goal is at least 30 % fewer errors.

| pen | errors before | errors after | fewer errors | each seed | MNIST before | MNIST after |
|---|--:|--:|--:|--:|--:|--:|
{rows}

The less a pen differs from MNIST's, the less there is to learn from {n_corrected} pictures of it.
`RECIPES.md` tells why an epoch has them four times.
"""


def main() -> None:
    import_tensorflow()
    dataset = api.validate(api.load("mnist"))
    images, labels = dataset.test.read(slice(None)), dataset.test.labels
    first = {seed: train(dataset, seed) for seed in SEEDS}
    lines = []
    for name, pen in PENS.items():
        drawn = pen(images.reshape(-1, 28, 28)).reshape(-1, 784)
        rest = InMemoryImages(drawn[N_QUEUED:], labels[N_QUEUED:])
        errors = []
        for seed, trained in first.items():
            corrected = correct(dataset, trained, drawn[:N_QUEUED], labels[:N_QUEUED])
            again = train(corrected, seed)
            errors.append([count(one, part) for part in (rest, dataset.test) for one in (trained, again)])
        lines.append(row(name, np.array(errors)))
        print(lines[-1], flush=True)
    page = TEMPLATE.format(n_queued=N_QUEUED, n_corrected=N_CORRECTED, n_seeds=len(SEEDS), rows="\n".join(lines))
    PAGE.write_text(page)


def train(dataset: Dataset, seed: int) -> TrainingResult:
    return api.train(dataset, api.parse_recipe(["--recipe", "fast"], seed, n_rows=len(dataset.train)))


def correct(dataset: Dataset, trained: TrainingResult, pixels: Pixels, labels: NDArray[np.uint8]) -> Dataset:
    """Queue the doubtful ones of some pictures, answer the first, and return the data with these corrections."""
    from tasks.scoring.metrics import abstention_threshold

    threshold = abstention_threshold(trained.held_out_probabilities, trained.held_out_labels).value
    predictor = Predictor(1, threshold, dataset.profile, lambda part: probabilities(trained, part))
    batch, _ = predict_pixels(pixels, predictor)
    queued = entries.of_predictions(batch, predictor, "pen")
    first = queue.rank(queued, []).head(N_CORRECTED)
    answers = [labels[int(origin.split()[1])] for origin in first["origin"]]
    with tempfile.TemporaryDirectory() as folder:
        store, table = Store(Path(folder, "store")), Path(folder, "answers.csv")
        review.add(store, queued)
        first.assign(label=answers)[["item", "label"]].to_csv(table, index=False)
        file = InboxFile(table, is_accepted=True, corrections=corrections.read(table))
        found = review.complete(store, [file])[0].corrections
    corrected = api.validate(merger.with_files(api.load("mnist"), [], DEFAULT_RULES, found))
    if len(corrected.train) != len(dataset.train) + N_CORRECTED:
        raise AssertionError("not every correction was added")
    return corrected


def probabilities(trained: TrainingResult, pixels: Pixels) -> NDArray[np.float32]:
    from tasks.inference import model

    return model.predict_images(trained.network, InMemoryImages(pixels, np.zeros(len(pixels), np.uint8)))


def count(trained: TrainingResult, images: Images) -> int:
    return int((probabilities(trained, images.read(slice(None))).argmax(axis=1) != images.labels).sum())


def row(name: str, errors: NDArray[np.int64]) -> str:
    """Format a pen's errors (seeds × before and after, on its own pictures and on MNIST)."""
    before, after, clean_before, clean_after = np.median(errors, axis=0).astype(int)
    shares = 1 - errors[:, 1] / errors[:, 0]
    each = ", ".join(f"{share:.0%}" for share in shares)
    return f"| {name} | {before:,} | {after:,} | {np.median(shares):.0%} | {each} | {clean_before} | {clean_after} |"


if __name__ == "__main__":
    main()
