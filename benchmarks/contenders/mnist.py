"""The embedded MNIST as this project has it: read, inspected, accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.rules import DEFAULT_RULES
from tasks.sources import formats

if TYPE_CHECKING:
    from schemas.results import Dataset


def embedded_mnist() -> Dataset:
    """Give the dataset."""
    from tasks.validation import inspection, profiles

    loaded = formats.load("mnist", None, DEFAULT_RULES)
    _, dataset = inspection.inspect(loaded, DEFAULT_RULES, profiles.embedded())
    if dataset is None:
        raise AssertionError("the embedded MNIST is refused")
    return dataset
