"""The measurements of all suites, kept in `results.json`: one flat JSON object per measurement and line.

Each has `suite`, `case`, `seed`, the number of its round, `date` and `machine`; the other keys are metrics, their units
in their names. A list holds the values of repetitions or epochs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path

from metrics import Measurement, derive

RESULTS = Path(__file__).with_name("results.json")


class Results:
    """Measurements that are looked up by suite and case, the derived metrics included."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        self.measurements = sorted(measurements, key=lambda one: one["suite"])
        self._derived = [one | derive(one) for one in self.measurements]

    @classmethod
    def load(cls) -> Results:
        """Load the measurements; none if there is no such file."""
        return cls(json.loads(RESULTS.read_text()) if RESULTS.exists() else [])

    def save(self) -> None:
        """Write the measurements, whole or not at all."""
        new = RESULTS.with_suffix(".new")
        new.write_text("[\n" + ",\n".join(map(json.dumps, self.measurements)) + "\n]\n")
        new.replace(RESULTS)

    def without(self, suites: Collection[str]) -> Results:
        return Results(one for one in self.measurements if one["suite"] not in suites)

    def with_measurements(self, measurements: Iterable[Measurement]) -> Results:
        return Results([*self.measurements, *measurements])

    def has(self, suite: str, number: int) -> bool:
        return any(one["seed"] == number for one in self.select(suite))

    def select(self, suite: str, case: str | None = None) -> list[Measurement]:
        """Return the measurements of a suite, or of one of its cases."""
        return [one for one in self._derived if one["suite"] == suite and case in (None, one["case"])]

    def values(self, suite: str, case: str, metric: str) -> dict[int, list[float]]:
        """Return the values of a case's metric by round: one, or those of a list."""
        found = {one["seed"]: one[metric] for one in self.select(suite, case) if metric in one}
        return {number: value if isinstance(value, list) else [value] for number, value in found.items()}
