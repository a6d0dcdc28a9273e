"""The checks that every row has to pass.

To add one, add a `RowCheck` to `_CHECKS` and run `make docs`, which updates `docs/reference/checks.md`:

- The name must not contain "; ", which joins the names of several checks.
- Its example must fail this check only, and the examples of the other checks must pass it.
- A check of pixels applies to images to predict on as well. Its `fact` should use `block.visible`: missing and infinite
  pixels have checks of their own.

A check computes one value per row, its `fact`; pandera validates a frame of these values. Of a whole pixel frame, it
would keep 785 cells for each failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray
from pandera.errors import SchemaErrors

from schemas.digits import CLASSES, PIXEL_COUNT

MAX_PIXEL = 255
MIN_INK = 64
"""The brightest pixel of an image has to reach this; the lowest maximum of MNIST's 70,000 images is 254."""
BRIGHT = 250
MIN_BACKGROUND_PIXELS = PIXEL_COUNT // 100
"""Minimum number of pixels below BRIGHT; MNIST's images have at least 507, inverted ones at least 15."""

Subject = Literal["label", "pixels", "copies"]
"""Data that a check is computed from: labels (a Series), pixels (a PixelBlock) or equal images (EqualImages)."""


class PixelBlock:
    """The pixels (rows × 784) of a block of rows, with the intermediate results that several facts share."""

    def __init__(self, pixels: NDArray[np.generic]) -> None:
        self.pixels = pixels
        self.is_uint8 = pixels.dtype == np.uint8

    @cached_property
    def values(self) -> NDArray[np.float64]:
        return self.pixels.astype(np.float64)

    @cached_property
    def visible(self) -> NDArray[Any]:
        """The pixels, 0 in place of those without a finite value."""
        return self.pixels if self.is_uint8 else np.where(np.isfinite(self.values), self.values, 0)


class EqualImages(NamedTuple):
    """Rows of a part, grouped by equal images.

    `groups` and `labels` have an item per row; `first`, the first row, and `in_test` have an item per group.
    """

    groups: NDArray[np.int64]
    labels: NDArray[np.uint8]
    first: NDArray[np.intp]
    in_test: NDArray[np.bool_]


class ValidRows(NamedTuple):
    """Valid rows (label, pixel0 … pixel783) that `RowCheck.example` turns into an invalid one."""

    row: NDArray[np.float64]
    earlier: NDArray[np.float64]
    in_test: NDArray[np.float64]


@dataclass(frozen=True)
class RowCheck:
    """A check of single rows: `fact` computes a value per row from the subject, `passes` says which values are valid.

    Reports show `name` and `reason`. `example` returns a row that fails, for the tests. A `train_only` check isn't
    applied to the test part.
    """

    name: str
    reason: str
    subject: Subject
    fact: Callable[[Any], Any]
    example: Callable[[ValidRows], NDArray[np.float64]]
    passes: Callable[[Any], Any] = lambda fact: fact == 0
    train_only: bool = False


def _count_unless_uint8(
    is_faulty: Callable[[PixelBlock], NDArray[np.bool_]],
) -> Callable[[PixelBlock], NDArray[np.int64]]:
    """Return the fact that counts each image's faulty pixels, without looking at `uint8` ones.

    Use it only for faults that `uint8` pixels can't have: they are whole, finite and from 0 to 255.
    """

    def fact(block: PixelBlock) -> NDArray[np.int64]:
        return np.zeros(len(block.pixels), np.int64) if block.is_uint8 else np.asarray(is_faulty(block).sum(axis=1))

    return fact


def _count_background(block: PixelBlock) -> NDArray[np.int64]:
    # A sum as uint16 takes half the time of count_nonzero.
    return np.asarray((block.visible < BRIGHT).sum(axis=1, dtype=np.uint16).astype(np.int64))


def _has_another_label(images: EqualImages) -> NDArray[np.bool_]:
    group_label = np.zeros(len(images.first), np.uint8)
    group_label[images.groups] = images.labels
    has_several = np.zeros(len(images.first), bool)
    has_several[images.groups[images.labels != group_label[images.groups]]] = True
    return has_several[images.groups]


def _repeats(images: EqualImages) -> NDArray[np.bool_]:
    return np.asarray(images.first[images.groups] != np.arange(len(images.groups)))


def _with_label(value: float) -> Callable[[ValidRows], NDArray[np.float64]]:
    return lambda valid: np.array([value, *valid.row[1:]])


def _with_pixel(value: float) -> Callable[[ValidRows], NDArray[np.float64]]:
    return lambda valid: np.array([*valid.row[:-300], value, *valid.row[-299:]])


def _filled(value: float) -> Callable[[ValidRows], NDArray[np.float64]]:
    return lambda valid: np.array([valid.row[0], *[value] * PIXEL_COUNT])


_CHECKS = (
    RowCheck(
        "label missing", "there is no label", "label", lambda labels: labels, _with_label(np.nan),
        passes=lambda label: label.notna(),
    ),
    RowCheck(
        "label unknown", "the label isn't one of 0 to 9", "label", lambda labels: labels, _with_label(11),
        passes=lambda label: label.isna() | label.isin(CLASSES),
    ),
    RowCheck(
        "pixel missing", "a pixel has no value", "pixels",
        _count_unless_uint8(lambda block: np.isnan(block.values)), _with_pixel(np.nan),
    ),
    RowCheck(
        "pixel not finite", "a pixel is infinite", "pixels",
        _count_unless_uint8(lambda block: np.isinf(block.values)), _with_pixel(np.inf),
    ),
    RowCheck(
        "pixel out of range", "a pixel is below 0 or above 255", "pixels",
        _count_unless_uint8(lambda block: (block.visible < 0) | (block.visible > MAX_PIXEL)), _with_pixel(300),
    ),
    RowCheck(
        "pixel not whole", "a pixel isn't a whole number", "pixels",
        _count_unless_uint8(lambda block: block.visible != np.rint(block.visible)), _with_pixel(7.25),
    ),
    RowCheck(
        "blank", f"no pixel reaches {MIN_INK}: no ink", "pixels",
        lambda block: block.visible.max(axis=1).astype(np.float64), _filled(0),
        passes=lambda brightest: brightest >= MIN_INK,
    ),
    RowCheck(
        "saturated", f"fewer than {MIN_BACKGROUND_PIXELS} pixels are below {BRIGHT}: no background", "pixels",
        _count_background, _filled(MAX_PIXEL),
        passes=lambda n_pixels: n_pixels >= MIN_BACKGROUND_PIXELS,
    ),
    RowCheck(
        "contradiction", "the same image has another label in another row", "copies",
        _has_another_label, lambda valid: np.array([(valid.earlier[0] + 1) % len(CLASSES), *valid.earlier[1:]]),
    ),
    RowCheck(
        "duplicate", "the same image is in an earlier row", "copies",
        _repeats, lambda valid: valid.earlier, train_only=True,
    ),
    RowCheck(
        "leak", "the same image is among the test rows", "copies",
        lambda images: images.in_test[images.groups], lambda valid: valid.in_test, train_only=True,
    ),
)  # fmt: skip
ROW_CHECKS: dict[str, RowCheck] = {check.name: check for check in _CHECKS}
"""All row checks by name, in the order in which they are reported."""


def checks_of(subject: Subject) -> list[RowCheck]:
    """Return the registered checks of a subject."""
    return [check for check in ROW_CHECKS.values() if check.subject == subject]


def explain(names: str) -> str:
    """Return what row checks found, from their names joined by "; "."""
    return "; ".join(f"{name}: {ROW_CHECKS[name].reason}" for name in names.split("; "))


def failures(checks: Iterable[RowCheck], facts: Mapping[str, Any]) -> dict[str, NDArray[np.bool_]]:
    """Return a mask of the failing rows for each check that fails, by name; `facts` holds a column per check."""
    checks = tuple(checks)
    if all(check.passes(facts[check.name]).all() for check in checks):
        return {}  # pandera takes milliseconds, which add up over thousands of small files or requests
    try:
        # In place, or pandera would check a copy; nothing is changed.
        _schema(checks).validate(pd.DataFrame(facts), lazy=True, inplace=True)
    except SchemaErrors as errors:
        return {error.check.name: ~error.check_output.to_numpy(bool) for error in errors.schema_errors}
    return {}


@cache
def _schema(checks: tuple[RowCheck, ...]) -> pa.DataFrameSchema:
    # Results are read from the check's output, so one failure case is enough; pandera joins all of them in its message.
    columns = {
        check.name: pa.Column(
            checks=pa.Check(check.passes, name=check.name, error=check.reason, ignore_na=False, n_failure_cases=1),
            nullable=True,
        )
        for check in checks
    }
    return pa.DataFrameSchema(columns)
