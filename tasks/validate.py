"""Validate: hold both frames of a dataset to the pixel frame's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.stage import stage

if TYPE_CHECKING:
    from schemas.results import Dataset


@stage
def validate(dataset: Dataset) -> Dataset:
    """Give the dataset back if its frames are what they should be; else raise InputError with every fault."""
    from schemas import pixel_frame

    pixel_frame.validate(pixel_frame.LABELLED, dataset.train, f"{dataset.name}, training rows")
    pixel_frame.validate(pixel_frame.LABELLED, dataset.test, f"{dataset.name}, test rows")
    return dataset
