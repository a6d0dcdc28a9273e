"""Predict a batch of images: check each one, run the model, flag what not to trust."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import pixel_frame
from schemas.digits import CLASSES, PIXEL_COUNT
from schemas.errors import InputError
from schemas.prediction import PredictionBatch, Predictor
from schemas.rules import InputRules, Repair
from tasks.validation import profiles, row_faults
from tasks.validation.profiles import Histograms
from tasks.validation.repairs import INVERSION_NEEDED, SCALE_NEEDED, highest, is_unit_scale, needed, repaired


def repairs_of(frame: pd.DataFrame, source: str, rules: InputRules) -> tuple[Repair, ...]:
    """Return which of the requested repairs a source needs by its first images; raise InputError if one is missing."""
    repairs = needed(highest(frame), rules.repair)
    fixed = repaired(frame, repairs)
    if is_unit_scale(highest(fixed)):
        raise InputError(f"{source}: {SCALE_NEEDED}")
    pixels, failing = _as_uint8(fixed, row_faults.pixel_faults(fixed))
    if profiles.bright_share(pixels[~failing]) >= profiles.BRIGHT_REFUSED:
        raise InputError(f"{source}: {INVERSION_NEEDED}")
    return repairs


def predict_batch(
    frame: pd.DataFrame, predictor: Predictor, repairs: Iterable[Repair]
) -> tuple[PredictionBatch, Histograms]:
    """Predict a frame of input rows; also return the valid ones' histograms by the version's reference profile."""
    frame = repaired(frame, repairs)
    faults = row_faults.pixel_faults(frame)
    pixels, failing = _as_uint8(frame, faults)
    checked = pd.DataFrame(pixels, index=frame.index, columns=frame.columns[-PIXEL_COUNT:], copy=False)
    pixel_frame.validate(pixel_frame.UNLABELLED, checked, "images to predict on")
    probabilities = predictor.probabilities(pixels)
    best_two = np.argsort(-probabilities, axis=1, kind="stable")[:, :2].astype(np.uint8)
    confidence = probabilities.max(axis=1)
    threshold = np.inf if predictor.threshold is None else predictor.threshold
    stats = profiles.measured_by(predictor.profile, pixels[~failing], best_two[~failing, 0])
    distance = np.full(len(frame), np.inf, np.float32)
    distance[~failing] = stats.distance
    batch = PredictionBatch(
        items=frame.index,
        pixels=pixels,
        label=best_two[:, 0],
        confidence=confidence,
        second=best_two[:, 1],
        abstained=failing | (confidence < threshold),
        unlike_training=failing | (distance > predictor.profile.outlier_threshold),
        distance=distance,
        reason=row_faults.reasons(faults, len(frame)),
        true_label=_true_labels(frame),
    )
    return batch, profiles.counts_of(stats, predictor.profile)


def _as_uint8(frame: pd.DataFrame, faults: dict[str, NDArray[np.bool_]]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the pixels as `uint8`, 0 in invalid rows, and which rows are invalid."""
    failing = row_faults.failing(faults, len(frame))
    pixels = frame.iloc[:, -PIXEL_COUNT:].to_numpy()
    if pixels.dtype != np.uint8:
        pixels = np.where(failing[:, None], 0, pixels).astype(np.uint8)
    return pixels, failing


def _true_labels(frame: pd.DataFrame) -> NDArray[np.int16]:
    """Return the labels from 0 to 9; -1 where there is none or another one."""
    if "label" not in frame.columns:
        return np.full(len(frame), -1, np.int16)
    return frame["label"].where(frame["label"].isin(CLASSES), -1).to_numpy(np.int16)
