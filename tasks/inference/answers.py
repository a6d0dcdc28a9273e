"""The answers of networks to images and to small deformations of them, for the gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.digits import SIDE
from schemas.images import Images
from schemas.pixel_frame import blocks
from tasks.inference.predictor import Predict

MAX_DEFORMED = 100_000
"""Number of images up to which deformations are predicted, too; more images decide by themselves."""
PIECE_ROWS = 8192


def right_answers(predictors: Sequence[Predict], images: Images) -> list[NDArray[np.bool_]]:
    """Return whether each network's answers are right, images × answers, the answer to the image itself first."""
    pieces: list[list[NDArray[np.bool_]]] = [[] for _ in predictors]
    for block in blocks(len(images), PIECE_ROWS):
        pixels, labels = images.read(block), images.labels[block]
        shifted = list(shifts(pixels)) if len(images) <= MAX_DEFORMED else [pixels]
        for right, predict in zip(pieces, predictors, strict=True):
            right.append(np.column_stack([predict(each).argmax(axis=1) == labels for each in shifted]))
    return [np.concatenate(right) for right in pieces]


def shifts(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield the images (rows × 784), then each of their eight shifts by half a pixel, also diagonally.

    A person reads all of them as the same digit. A network that guesses at an image near its decision boundary answers
    them differently, so that their mean varies less by chance than a single answer.
    """
    padded = np.pad(pixels.reshape(-1, SIDE, SIDE), ((0, 0), (1, 1), (1, 1))).astype(np.uint16)
    for down in (1, 0, 2):
        rows = padded[:, 1:-1] + padded[:, down : down + SIDE]
        for right in (1, 0, 2):
            blended = (rows[:, :, 1:-1] + rows[:, :, right : right + SIDE]) // 4
            yield blended.astype(np.uint8).reshape(len(pixels), -1)
