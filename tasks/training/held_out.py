"""Split the training rows into those to train on and those held out for validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.model_selection import train_test_split

from schemas.errors import InputError

if TYPE_CHECKING:
    from schemas.images import Images
    from schemas.recipe import Recipe
    from schemas.results import Dataset

MAX_HELD_OUT = 50_000
"""Enough to know the held-out accuracy to a tenth of a point, and few enough for memory."""


def split(dataset: Dataset, recipe: Recipe) -> tuple[Images, Images]:
    """Return the images to train on and the held-out ones, stratified by label and drawn by the recipe's seed."""
    images, labels = dataset.train, dataset.train.labels
    rows = np.arange(len(labels))
    if recipe.validation_fraction == 0:
        return images, images.take(rows[:0])
    fraction = recipe.validation_fraction
    size = fraction if fraction * len(labels) < MAX_HELD_OUT else MAX_HELD_OUT
    try:
        train, held_out = train_test_split(rows, test_size=size, stratify=labels, random_state=recipe.seed)
    except ValueError as error:
        raise InputError(
            f"{dataset.name}: {len(labels)} training rows can't be split by a validation fraction of {fraction} with "
            f"every class in both parts; --validation-fraction 0 holds out none ({error})"
        ) from error
    train.sort()
    return images.take(train), images.take(held_out)
