"""List the rows of a dataset that a person should look at, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.audit import COLUMNS, DUPLICATE, KINDS, LABEL, OUTLIER
from schemas.images import Images
from schemas.results import Dataset
from schemas.validation import Part
from tasks.auditing import label_errors, similarity
from tasks.auditing.out_of_fold import OutOfFold
from tasks.scoring import reasons

MIN_SELF_CONFIDENCE = 0.5
"""Rows whose label gets less of the probability are listed."""


def find_suspects(dataset: Dataset, predicted: OutOfFold) -> pd.DataFrame:
    """Return the suspects of both parts, with the columns of `schemas.audit`; the worst of each kind first."""
    parts = audited_parts(dataset)
    pieces = [
        piece
        for part, images in parts.items()
        for piece in (
            _label_errors(part, images, predicted),
            _near_duplicates(part, images, predicted, parts),
            _outliers(part, images, predicted, dataset),
        )
    ]
    suspects = pd.concat([piece.assign(item=_items(dataset, piece)) for piece in pieces], ignore_index=True)
    kinds = suspects["kind"].map({kind: number for number, kind in enumerate(KINDS)})
    order = np.lexsort((-suspects["score"], kinds))
    return suspects.iloc[order].reset_index(drop=True)[[*COLUMNS]]


def audited_parts(dataset: Dataset) -> dict[Part, Images]:
    """Return the parts; the test part isn't one if it is all of the training part, for cross-validation."""
    train: dict[Part, Images] = {"train": dataset.train}
    return train if dataset.test is dataset.train else train | {"test": dataset.test}


def _label_errors(part: Part, images: Images, predicted: OutOfFold) -> pd.DataFrame:
    probabilities, labels = predicted.probabilities[part], images.labels
    confidence = label_errors.self_confidence(probabilities, labels)
    is_confident = predicted.confident_errors[part]
    rows = np.flatnonzero((confidence < MIN_SELF_CONFIDENCE) | is_confident)
    others = probabilities[rows].copy()
    others[np.arange(len(rows)), labels[rows]] = -1
    proposed = others.argmax(axis=1)
    texts = [
        f"looks like {digit} ({other:.1%}), not like {label} ({own:.1%})"
        for digit, other, label, own in zip(proposed, others.max(axis=1), labels[rows], confidence[rows], strict=True)
    ]
    return _frame(LABEL, part, rows, labels, proposed, 1 - confidence[rows], texts).assign(confident=is_confident[rows])


def _near_duplicates(part: Part, images: Images, predicted: OutOfFold, parts: dict[Part, Images]) -> pd.DataFrame:
    """Search the neighbours of the rows that networks contradict: they can't confirm both labels of a near-duplicate.

    Comparing all rows with all would take minutes.
    """
    contradicted = np.flatnonzero(predicted.probabilities[part].argmax(axis=1) != images.labels)
    pixels, labels = images.read(contradicted), images.labels[contradicted]
    best: list[tuple[float, str, int]] = [(-1.0, "", -1)] * len(contradicted)
    for other_part, others in parts.items():
        nearest = similarity.nearest_with_other_label(pixels, labels, others)
        for query, (row, cosine) in enumerate(zip(*nearest, strict=True)):
            best[query] = max(best[query], (float(cosine), other_part, int(row)))
    near = [query for query, (cosine, _, _) in enumerate(best) if cosine >= similarity.MIN_SIMILARITY]
    proposed = [int(parts[best[query][1]].labels[best[query][2]]) for query in near]  # type: ignore[index]
    texts = [
        f"almost the same as row {best[query][2]} of the {best[query][1]} part, whose label is {digit}"
        for query, digit in zip(near, proposed, strict=True)
    ]
    scores = [best[query][0] for query in near]
    return _frame(DUPLICATE, part, contradicted[near], images.labels, proposed, scores, texts)


def _outliers(part: Part, images: Images, predicted: OutOfFold, dataset: Dataset) -> pd.DataFrame:
    ratios = similarity.distance_ratios(images, dataset.profile)
    rows = np.flatnonzero(ratios > 1)
    proposed = predicted.probabilities[part][rows].argmax(axis=1)
    descriptions = reasons.describe(images.read(rows), dataset.profile)
    texts = [
        "; ".join([f"unlike all digits: {ratio:.2f} times the distance of an outlier", *unusual])
        for ratio, unusual in zip(ratios[rows], descriptions, strict=True)
    ]
    return _frame(OUTLIER, part, rows, images.labels, proposed, ratios[rows], texts)


def _frame(kind: str, part: Part, rows: NDArray[np.int64], labels: NDArray[np.uint8], *columns: Any) -> pd.DataFrame:  # noqa: ANN401
    """Return suspects; `columns` are proposed labels, scores and reasons."""
    proposed, scores, texts = columns
    frame = pd.DataFrame(
        {"row": rows.astype(np.int64), "label": labels[rows], "proposed": np.array(proposed, np.uint8)}
    )
    return frame.assign(
        score=np.array(scores, np.float64), reason=np.array(texts, object), kind=kind, part=part, confident=False
    )


def _items(dataset: Dataset, suspects: pd.DataFrame) -> list[str]:
    if dataset.read_items is None or suspects.empty:
        return suspects["row"].astype(str).tolist()
    return dataset.read_items(suspects["part"].iloc[0], suspects["row"].to_numpy())
