"""Entries of the review queue: suspects of an audit, labels that a version contradicts, and doubtful predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.audit import OUTLIER
from schemas.images import Images
from schemas.prediction import PredictionBatch, Predictor
from schemas.results import Dataset
from schemas.review import ABSTAINED, ADDED, COLUMNS, DISAGREEMENT, item_of
from schemas.text import printable
from schemas.validation import Part
from tasks.validation import row_faults

MAX_ENTRIES = 1000
"""The worst of each reason that a run adds at most."""


def of_audit(suspects: pd.DataFrame, dataset: Dataset, parts: Mapping[Part, Images]) -> pd.DataFrame:
    """Return the suspects of an audit as entries."""
    renamed = suspects.rename(columns={"kind": "reason", "item": "origin", "reason": "text"})
    worst = renamed.groupby("reason", sort=False).head(MAX_ENTRIES)  # each kind is in order already
    pieces = [
        _with_pixels(of_part, images.read(of_part["row"].to_numpy()))
        for part, images in parts.items()
        if len(of_part := worst[worst["part"] == part])
    ]
    return _of_data(pieces, dataset)


def of_version(dataset: Dataset, parts: Mapping[Part, Images], predictor: Predictor) -> pd.DataFrame:
    """Return the labels of a dataset that a version contradicts as entries."""
    pieces = []
    for part, images in parts.items():
        probabilities = np.concatenate([predictor.probabilities(images.read(piece)) for piece in images.pieces()])
        predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
        rows = np.sort(_worst(predicted != images.labels, confidence))
        names = dataset.read_items(part, rows) if dataset.read_items else rows.astype(str).tolist()
        texts = _contradictions(predictor.version, predicted[rows], confidence[rows])
        entries = _frame(DISAGREEMENT, names, images.labels[rows], predicted[rows], confidence[rows], texts)
        pieces.append(_with_pixels(entries.assign(part=part), images.read(rows)))
    return _of_data(pieces, dataset)


def of_predictions(batch: PredictionBatch, predictor: Predictor, source: str) -> pd.DataFrame:
    """Return predictions that a person should look at: abstained, unlike the training data, or contradicted."""
    valid, labels, ratios = batch.fault == "", batch.true_label, batch.distance / predictor.profile.outlier_threshold
    selections = {
        DISAGREEMENT: (valid & (labels >= 0) & (labels != batch.label), batch.confidence),
        ABSTAINED: (valid & batch.abstained, 1 - batch.confidence),
        OUTLIER: (valid & batch.unlike_training, ratios),
    }
    frames = []
    for reason, (is_selected, score) in selections.items():
        rows = _worst(is_selected, score)
        texts = batch.reason[rows].tolist()
        if reason == DISAGREEMENT:
            texts = _contradictions(predictor.version, batch.label[rows], batch.confidence[rows])
        names = [printable(f"{source} {item}") for item in batch.items[rows]]
        entries = _frame(reason, names, labels[rows], batch.label[rows], score[rows], texts)
        frames.append(_with_pixels(entries, batch.pixels[rows]))
    return _joined(frames)


class Collector:
    """Collects entries of many batches, and keeps the worst of each reason."""

    def __init__(self) -> None:
        self.entries = _joined([])

    def add(self, entries: pd.DataFrame) -> None:
        """Add entries; of the same image, the newest is kept."""
        if len(entries):
            entries = _joined([entries, self.entries]).drop_duplicates(["item", "reason"])
            by_score = entries.sort_values("score", ascending=False, kind="stable")
            self.entries = by_score.groupby("reason", sort=False).head(MAX_ENTRIES)


def _contradictions(version: int, predicted: NDArray[Any], confidence: NDArray[Any]) -> list[str]:
    return [
        f"version {version} is {sure:.1%} sure of {digit}" for digit, sure in zip(predicted, confidence, strict=True)
    ]


def _frame(  # noqa: PLR0913, the columns
    reason: str,
    names: Sequence[str],
    labels: NDArray[Any],
    proposed: NDArray[Any],
    score: NDArray[Any],
    texts: Sequence[str],
) -> pd.DataFrame:
    columns = {"origin": names, "label": labels, "proposed": proposed, "score": score, "text": texts}
    return pd.DataFrame(columns).assign(reason=reason, part="")


def _of_data(frames: Sequence[pd.DataFrame], dataset: Dataset) -> pd.DataFrame:
    """Return entries of a dataset's rows; images that corrections added stay of no part, or the next run drops them."""
    entries = _joined(frames)
    added = {one.item for one in dataset.validation.corrections if one.outcome == ADDED}
    return entries.assign(part=entries["part"].mask(entries["item"].isin(added), ""))


def _with_pixels(entries: pd.DataFrame, pixels: NDArray[np.uint8]) -> pd.DataFrame:
    items = [item_of(int(digest)) for digest in row_faults.digests(pixels)[:, 0]]
    return entries.assign(item=items, pixels=[image.tobytes() for image in pixels])


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return frames as one with the queue's columns and types, also without any rows."""
    filled = [frame[[*COLUMNS]] for frame in frames if len(frame)]
    joined = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=[*COLUMNS])
    return joined.astype({"label": np.int16, "proposed": np.uint8, "score": np.float64})


def _worst(selected: NDArray[np.bool_], score: NDArray[np.float32]) -> NDArray[np.int64]:
    rows = np.flatnonzero(selected)
    return rows[np.argsort(-score[rows], kind="stable")][:MAX_ENTRIES]
