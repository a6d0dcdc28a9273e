"""Let networks answer corrupted images of some test rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.images import Images
from schemas.slices import CorruptedAnswers
from tasks.inference.predictor import Predict
from tasks.scoring.corruptions import CORRUPTIONS, corrupt

MAX_CORRUPTED_ROWS = 1000
"""Test rows, evenly spread, that are corrupted: an accuracy of 90 % then has a standard error of one point."""


def answer_corrupted(predictors: Sequence[Predict], images: Images) -> list[CorruptedAnswers]:
    """Let each network answer corrupted images; the corrupted images are the same for all of them, and in every run."""
    rows = np.arange(0, len(images), -(-len(images) // MAX_CORRUPTED_ROWS))
    pixels, labels, names = images.read(rows), images.labels[rows], tuple(CORRUPTIONS)
    right = np.empty((len(predictors), len(names), len(rows)), bool)
    for number, name in enumerate(names):
        corrupted = corrupt(pixels, name)
        for network, predict in enumerate(predictors):
            right[network, number] = predict(corrupted).argmax(axis=1) == labels
    return [CorruptedAnswers(names, rows, each) for each in right]
