"""Check and predict a stream of images, and write the predictions to a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from artifacts import predictions_table
from artifacts.store import version_files
from artifacts.store.store import Store
from schemas import pixel_frame, row_checks
from schemas.digits import CLASSES, PIXEL_COUNT
from schemas.errors import InputError, StoreError
from schemas.prediction import OutputFormat, Prediction, PredictionBatch, Predictor
from schemas.rules import InputRules
from tasks.inference import loader
from tasks.prediction.stats import PredictionStats
from tasks.scoring import reasons
from tasks.sources import inputs
from tasks.validation import profiles, row_faults
from tasks.validation.profiles import Histograms
from tasks.validation.repairs import (
    BYTES,
    INVERSION_NEEDED,
    apply_repairs,
    count_scales,
    find_scale,
    scale_message,
    select_repairs,
)

MAX_PROBED = 1000
"""Number of first images whose scale and polarity are assumed for all."""


def predictor(store: Store, version: int) -> Predictor:
    """Load a version; raise StoreError if its files differ from its card."""
    folder = store.verified_dir(version)
    abstention = store.card(version).get("abstention")
    fields: dict[str, Any] = abstention if isinstance(abstention, dict) else {}
    threshold = fields.get("threshold", "missing")
    # Not `isinstance`: a bool is an int, too. NaN fails the comparison.
    if threshold is not None and not (type(threshold) in {int, float} and 0 <= threshold <= 1):
        raise StoreError(
            f"version {version}: the abstention threshold on its card is {threshold}, not a number from 0 to 1; "
            "use --version to select another version"
        )
    profile = version_files.read_profile(folder / version_files.PROFILE)
    return Predictor(version, threshold, profile, loader.load_version(folder, version), fields.get("level"))


def predict(  # noqa: PLR0913, the parameters of a prediction
    source: str,
    predictor: Predictor,
    output: Path,
    rules: InputRules,
    batch_size: int,
    on_batch: Callable[[PredictionBatch], object] = lambda _batch: None,
    *,
    output_format: OutputFormat = "predictions",
    strict: bool = False,
) -> Prediction:
    """Predict each image of a source, one batch in memory at a time; `on_batch` gets each batch.

    Raises InputError, and leaves the output unchanged, if the source can't be read (if `strict`, or for a submission,
    any of its files), is empty, would be overwritten, or has drifted and the rules make that an error.
    """
    started = time.perf_counter()
    strict = strict or output_format == "kaggle"  # a row for a file of many would shift the numbers after it
    inputs.check(source, output, strict=strict)
    stats = PredictionStats(predictor)
    with predictions_table.writer(output, output_format) as write:
        first, frames = _first_images(inputs.batches(source, rules, batch_size, strict=strict))
        if not len(first):
            raise InputError(f"{source}: no images")
        repairs = needed_repairs(first, source, rules)
        for frame in frames:
            batch, counts = predict_batch(frame, predictor, repairs)
            write(batch)
            stats.add(batch, counts, frame.attrs.get("notes", ()))
            on_batch(batch)
        prediction = stats.result(source, str(output), rules, time.perf_counter() - started)
        errors = [finding.message for finding in prediction.findings if finding.severity == "error"]
        if errors:
            raise InputError(f"{source}: {'; '.join(errors)}; nothing was written")
    return prediction


def _first_images(frames: Iterator[pd.DataFrame]) -> tuple[pd.DataFrame, Iterator[pd.DataFrame]]:
    """Return up to the first 1,000 images as one frame, and an iterator over all frames that starts with these."""
    buffer: list[pd.DataFrame] = []
    while sum(map(len, buffer)) < MAX_PROBED and (frame := next(frames, None)) is not None:
        buffer.append(frame)
    pixels = [frame.iloc[:, -PIXEL_COUNT:] for frame in buffer]  # not all files may have labels
    first = pd.concat(pixels).iloc[:MAX_PROBED] if buffer else pd.DataFrame()
    return first, chain(buffer, frames)


def needed_repairs(frame: pd.DataFrame, source: str, rules: InputRules) -> tuple[str, ...]:
    """Return the requested repairs that a source's first images need; raise InputError if they need another one."""
    scale = find_scale(count_scales(frame))
    if scale != BYTES and "scale" not in rules.repair:
        raise InputError(f"{source}: {scale_message(scale)}")
    repairs = select_repairs(scale, rules.repair)
    values = apply_repairs(frame, repairs).iloc[:, -PIXEL_COUNT:].to_numpy()
    pixels, is_invalid = _as_uint8(values, row_faults.pixel_faults(values))
    if profiles.bright_share(pixels[~is_invalid]) >= profiles.INVERTED_SHARE:
        raise InputError(f"{source}: {INVERSION_NEEDED}")
    return repairs


def predict_batch(
    frame: pd.DataFrame, predictor: Predictor, repairs: Iterable[str]
) -> tuple[PredictionBatch, Histograms]:
    """Predict a frame of input rows; also return the valid rows' histograms by the version's reference profile."""
    images = apply_repairs(frame, repairs).iloc[:, -PIXEL_COUNT:]
    batch, histograms = predict_pixels(images.to_numpy(), predictor)
    checked_frame = pd.DataFrame(batch.pixels, index=frame.index, columns=images.columns, copy=False)
    pixel_frame.validate(pixel_frame.UNLABELLED, checked_frame, "images to predict on")
    batch = replace(batch, items=frame.index, true_label=_true_labels(frame))
    if "fault" in frame.attrs:
        fault = np.array([frame.attrs["fault"]] * len(frame), object)
        batch = replace(batch, fault=fault, reason=fault)
    return batch, histograms


def predict_pixels(values: NDArray[np.generic], predictor: Predictor) -> tuple[PredictionBatch, Histograms]:
    """Predict images (rows × 784) without labels, named by their numbers; also return the valid ones' histograms.

    Works on arrays alone: for a single image, frames would take several times as long as all else.
    """
    faults = row_faults.pixel_faults(values)
    pixels, is_invalid = _as_uint8(values, faults)
    probabilities = predictor.probabilities(pixels)
    best_two = np.argsort(-probabilities, axis=1, kind="stable")[:, :2].astype(np.uint8)
    confidence = probabilities.max(axis=1)
    threshold = np.inf if predictor.threshold is None else predictor.threshold
    stats = profiles.compute_stats(pixels[~is_invalid], best_two[~is_invalid, 0], predictor.profile)
    distance = np.full(len(pixels), np.inf, np.float32)
    distance[~is_invalid] = stats.distance
    fault = row_faults.reasons(faults, len(pixels))
    batch = PredictionBatch(
        items=pd.RangeIndex(len(pixels)),
        pixels=pixels,
        label=best_two[:, 0],
        confidence=confidence,
        second=best_two[:, 1],
        abstained=is_invalid | (confidence < threshold),
        unlike_training=is_invalid | (distance > predictor.profile.outlier_threshold),
        distance=distance,
        fault=fault,
        reason=fault,
        true_label=np.full(len(pixels), -1, np.int16),
    )
    if batch.abstained.any() or batch.unlike_training.any():
        batch = replace(batch, reason=_reasons(batch, probabilities, predictor))
    return batch, profiles.histograms_of_stats(stats, predictor.profile)


def _reasons(batch: PredictionBatch, probabilities: NDArray[np.float32], predictor: Predictor) -> NDArray[np.object_]:
    """Return in words why images have no prediction, or why not to trust it; "" for all others."""
    texts = np.full(len(batch.label), "", object)
    is_valid = batch.fault == ""
    for row in np.flatnonzero(~is_valid):
        texts[row] = row_checks.explain(batch.fault[row])
    doubtful = np.flatnonzero(is_valid & (batch.abstained | batch.unlike_training))
    if len(doubtful):
        pixels, distances = batch.pixels[doubtful], batch.distance[doubtful]
        lists = reasons.explain(pixels, probabilities[doubtful], distances, predictor.threshold, predictor.profile)
        texts[doubtful] = ["; ".join(each) for each in lists]
    return texts


def _as_uint8(
    values: NDArray[np.generic], faults: dict[str, NDArray[np.bool_]]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the pixels as `uint8`, 0 in invalid rows, and a mask of the invalid rows."""
    is_invalid = row_faults.any_fault(faults, len(values))
    if values.dtype != np.uint8:
        values = np.where(is_invalid[:, None], 0, values).astype(np.uint8)
    return np.asarray(values, np.uint8), is_invalid


def _true_labels(frame: pd.DataFrame) -> NDArray[np.int16]:
    """Return the labels from 0 to 9; -1 where the label is missing or invalid."""
    if "label" not in frame.columns:
        return np.full(len(frame), -1, np.int16)
    return frame["label"].where(frame["label"].isin(CLASSES), -1).to_numpy(np.int16)
