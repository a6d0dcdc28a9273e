"""The checks that every row has to pass. To add one, add a `RowCheck` to `ROW_CHECKS`; nothing else has to change.

A check computes one value per row, its *fact*, and validates the facts of all rows with pandera. Whole pixel frames
would make pandera carry 785 cells for each failure.
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
"""The brightest pixel of an image has to reach this; of MNIST's 70,000 images the lowest maximum is 254."""
BRIGHT = 250
MIN_GROUND_PIXELS = PIXEL_COUNT // 100
"""Number of pixels that have to be darker than BRIGHT; MNIST's images have at least 507, inverted ones at least 15."""

Subject = Literal["label", "pixels", "copies"]
"""What a check looks at: a row's label (a Series), its pixels (a PixelBlock), rows of equal images (EqualImages)."""


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
    """The rows of a part: each one's group of equal images; each group's first row, and whether a test row is in it."""

    groups: NDArray[np.int64]
    labels: NDArray[np.uint8]
    first: NDArray[np.intp]
    in_test: NDArray[np.bool_]


class GoodRows(NamedTuple):
    """Rows (label, pixel0 … pixel783) that pass all checks, from which an example of a bad one is made."""

    row: NDArray[np.float64]
    earlier: NDArray[np.float64]
    in_test: NDArray[np.float64]


@dataclass(frozen=True)
class RowCheck:
    """A check of single rows: `fact` computes a value per row from the subject, `passes` says which values are good.

    Reports show `name` and `reason`. `example` returns a row that fails, for the tests. A `train_only` check exempts
    the test part.
    """

    name: str
    reason: str
    subject: Subject
    fact: Callable[[Any], Any]
    example: Callable[[GoodRows], NDArray[np.float64]]
    passes: Callable[[pd.Series], pd.Series] = lambda fact: fact == 0
    train_only: bool = False


def _count(is_faulty: Callable[[PixelBlock], NDArray[np.bool_]]) -> Callable[[PixelBlock], NDArray[np.int64]]:
    """Build the fact that counts each image's faulty pixels; `uint8` pixels, whole and from 0 to 255, have none."""

    def fact(block: PixelBlock) -> NDArray[np.int64]:
        return np.asarray(np.zeros(len(block.pixels), np.int64) if block.is_uint8 else is_faulty(block).sum(axis=1))

    return fact


def _count_ground(block: PixelBlock) -> NDArray[np.int64]:
    # Summed as uint16, not counted: half the time.
    return np.asarray((block.visible < BRIGHT).sum(axis=1, dtype=np.uint16).astype(np.int64))


def _has_another_label(images: EqualImages) -> NDArray[np.bool_]:
    any_label = np.zeros(len(images.first), np.uint8)
    any_label[images.groups] = images.labels
    has_two = np.zeros(len(images.first), bool)
    has_two[images.groups[images.labels != any_label[images.groups]]] = True
    return has_two[images.groups]


def _repeats(images: EqualImages) -> NDArray[np.bool_]:
    return np.asarray(images.first[images.groups] != np.arange(len(images.groups)))


def _with_label(value: float) -> Callable[[GoodRows], NDArray[np.float64]]:
    return lambda good: np.array([value, *good.row[1:]])


def _with_pixel(value: float) -> Callable[[GoodRows], NDArray[np.float64]]:
    return lambda good: np.array([*good.row[:-300], value, *good.row[-299:]])


def _filled(value: float) -> Callable[[GoodRows], NDArray[np.float64]]:
    return lambda good: np.array([good.row[0], *[value] * PIXEL_COUNT])


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
        _count(lambda block: np.isnan(block.values)), _with_pixel(np.nan),
    ),
    RowCheck(
        "pixel not finite", "a pixel is infinite", "pixels",
        _count(lambda block: np.isinf(block.values)), _with_pixel(np.inf),
    ),
    RowCheck(
        "pixel out of range", "a pixel is below 0 or above 255", "pixels",
        _count(lambda block: (block.visible < 0) | (block.visible > MAX_PIXEL)), _with_pixel(300),
    ),
    RowCheck(
        "pixel not whole", "a pixel isn't a whole number", "pixels",
        _count(lambda block: block.visible != np.rint(block.visible)), _with_pixel(7.25),
    ),
    RowCheck(
        "blank", f"no pixel reaches {MIN_INK}: no ink", "pixels",
        lambda block: block.visible.max(axis=1).astype(np.float64), _filled(0),
        passes=lambda brightest: brightest >= MIN_INK,
    ),
    RowCheck(
        "saturated", f"fewer than {MIN_GROUND_PIXELS} pixels are below {BRIGHT}: no ground", "pixels",
        _count_ground, _filled(MAX_PIXEL),
        passes=lambda n_pixels: n_pixels >= MIN_GROUND_PIXELS,
    ),
    RowCheck(
        "contradiction", "the same image has another label in another row", "copies",
        _has_another_label, lambda good: np.array([(good.earlier[0] + 1) % len(CLASSES), *good.earlier[1:]]),
    ),
    RowCheck(
        "duplicate", "the same image is in an earlier row", "copies",
        _repeats, lambda good: good.earlier, train_only=True,
    ),
    RowCheck(
        "leak", "the same image is among the test rows", "copies",
        lambda images: images.in_test[images.groups], lambda good: good.in_test, train_only=True,
    ),
)  # fmt: skip
ROW_CHECKS: dict[str, RowCheck] = {check.name: check for check in _CHECKS}
"""All row checks by name, in the order in which they are reported."""


def checks_of(subject: Subject) -> list[RowCheck]:
    """Return the registered checks of a subject."""
    return [check for check in ROW_CHECKS.values() if check.subject == subject]


def failures(checks: Iterable[RowCheck], facts: Mapping[str, Any]) -> dict[str, NDArray[np.bool_]]:
    """Return, for each check that some row fails, by its name, which rows fail; `facts` holds a column per check."""
    try:
        # In place, or pandera would check a copy; nothing is changed.
        _schema(tuple(checks)).validate(pd.DataFrame(facts), lazy=True, inplace=True)
    except SchemaErrors as errors:
        return {error.check.name: ~error.check_output.to_numpy(bool) for error in errors.schema_errors}
    return {}


@cache
def _schema(checks: tuple[RowCheck, ...]) -> pa.DataFrameSchema:
    # One failure case each is enough: results are read from the check's output, and pandera's text joins them all.
    columns = {
        check.name: pa.Column(
            checks=pa.Check(check.passes, name=check.name, error=check.reason, ignore_na=False, n_failure_cases=1),
            nullable=True,
        )
        for check in checks
    }
    return pa.DataFrameSchema(columns)
