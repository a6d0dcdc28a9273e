"""The measurements of all suites, kept in `results.json`: one flat JSON object per measurement and line.

Each has `suite`, `case`, `seed`, `date` and `machine`; the other keys are metrics, their units in their names. A list
holds the values of repetitions or epochs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from metrics import Measurement, derive

RESULTS = Path(__file__).with_name("results.json")


class Spread(NamedTuple):
    """A median with its range."""

    median: float
    low: float
    high: float


class Results:
    """Measurements that are looked up by suite and case, the derived metrics included."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        self.measurements = sorted(measurements, key=lambda one: one["suite"])
        self._derived = [one | derive(one) for one in self.measurements]

    @classmethod
    def load(cls, path: Path = RESULTS) -> Results:
        """Load the measurements; none if there is no such file."""
        return cls(json.loads(path.read_text()) if path.exists() else [])

    def save(self, path: Path = RESULTS) -> None:
        """Write the measurements."""
        path.write_text("[\n" + ",\n".join(map(json.dumps, self.measurements)) + "\n]\n")

    def replaced(self, suites: Collection[str], measurements: Iterable[Measurement]) -> Results:
        """Return these results with new measurements in place of all those of some suites."""
        return Results([*(one for one in self.measurements if one["suite"] not in suites), *measurements])

    def select(self, suite: str, case: str | None = None) -> list[Measurement]:
        """Return the measurements of a suite, or of one of its cases."""
        return [one for one in self._derived if one["suite"] == suite and case in (None, one["case"])]

    def spread(self, suite: str, case: str, metric: str) -> Spread | None:
        """Return the median and range of a case's metric, lists pooled; None if it wasn't measured."""
        found = [one[metric] for one in self.select(suite, case) if metric in one]
        values = sorted(value for one in found for value in (one if isinstance(one, list) else [one]))
        return Spread(median(values), values[0], values[-1]) if values else None
