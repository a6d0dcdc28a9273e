"""Answer a batch of images: check each one, ask the version, tell what it should not be trusted with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import pixel_frame
from schemas.digits import CLASSES, PIXEL_COUNT
from schemas.errors import InputError
from schemas.pixel_frame import pixels_of
from schemas.prediction import PredictionBatch
from tasks.validation import profiles, row_faults
from tasks.validation.repairs import INVERSION_NEEDED, SCALE_NEEDED, highest, is_unit_scale, needed, repaired

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from schemas.prediction import Predictor
    from schemas.rules import InputRules, Repair
    from tasks.validation.profiles import Histograms


def repairs_of(frame: pd.DataFrame, source: str, rules: InputRules) -> tuple[Repair, ...]:
    """Tell from a source's first images which of the repairs they need: so are all of them to be repaired.

    Raises InputError for pixels from 0 to 1 and for ink that is dark on a bright ground, naming the missing repair.
    """
    repairs = needed(highest(frame), rules.repair)
    mended = repaired(frame, repairs)
    if is_unit_scale(highest(mended)):
        raise InputError(f"{source}: {SCALE_NEEDED}")
    pixels, failing = _usable(mended, row_faults.pixel_faults(mended))
    if profiles.bright_share(pixels[~failing]) >= profiles.BRIGHT_REFUSED:
        raise InputError(f"{source}: {INVERSION_NEEDED}")
    return repairs


def answer(frame: pd.DataFrame, predictor: Predictor, repairs: Iterable[Repair]) -> tuple[PredictionBatch, Histograms]:
    """Answer a frame of images as they came; count the answered ones by the version's reference profile."""
    frame = repaired(frame, repairs)
    faults = row_faults.pixel_faults(frame)
    pixels, failing = _usable(frame, faults)
    checked = pd.DataFrame(pixels, index=frame.index, columns=frame.columns[-PIXEL_COUNT:], copy=False)
    pixel_frame.validate(pixel_frame.UNLABELLED, checked, "images to predict on")
    probabilities = predictor.probabilities(pixels_of(checked))
    best_two = np.argsort(-probabilities, axis=1, kind="stable")[:, :2].astype(np.uint8)
    confidence = probabilities.max(axis=1)
    least = np.inf if predictor.threshold is None else predictor.threshold
    measured = profiles.measured_by(predictor.profile, pixels[~failing], best_two[~failing, 0])
    distance = np.full(len(frame), np.inf, np.float32)
    distance[~failing] = measured.distance
    answers = PredictionBatch(
        items=frame.index,
        pixels=pixels,
        label=best_two[:, 0],
        confidence=confidence,
        second=best_two[:, 1],
        abstained=failing | (confidence < least),
        unlike_training=failing | (distance > predictor.profile.outlier_threshold),
        distance=distance,
        reason=row_faults.reasons(faults, len(frame)),
        true=_true(frame),
    )
    return answers, profiles.counts_of(measured, predictor.profile)


def _usable(frame: pd.DataFrame, faults: dict[str, NDArray[np.bool_]]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Give the pixels as `uint8`, 0 in rows that have faults, and which rows these are."""
    failing = row_faults.failing(faults, len(frame))
    pixels = frame.iloc[:, -PIXEL_COUNT:].to_numpy()
    if pixels.dtype != np.uint8:
        pixels = np.where(failing[:, None], 0, pixels).astype(np.uint8)
    return pixels, failing


def _true(frame: pd.DataFrame) -> NDArray[np.int16]:
    """Give the labels that are known and one of 0 to 9; -1 for the others."""
    if "label" not in frame.columns:
        return np.full(len(frame), -1, np.int16)
    return frame["label"].where(frame["label"].isin(CLASSES), -1).to_numpy(np.int16)
