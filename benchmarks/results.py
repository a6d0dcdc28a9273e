"""The measurements of all suites, kept in `results.json`: one JSON object per measurement and line.

Every measurement has `suite`, `case`, `seed`, `date` and `machine`; the other keys are its metrics. Units are in the
names: `_seconds`, `_bytes`. A list holds the values of repetitions or epochs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).with_name("results.json")
REQUIRED = ("suite", "case", "seed", "date", "machine")

Measurement = dict[str, Any]


@dataclass
class Results:
    """A list of measurements that can be filtered, replaced by suite, and kept as JSON."""

    measurements: list[Measurement] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path = RESULTS) -> Results:
        """Load the measurements; none if there is no such file."""
        return cls(json.loads(path.read_text()) if path.exists() else [])

    def save(self, path: Path = RESULTS) -> None:
        """Write the measurements, sorted by suite."""
        lines = [json.dumps(one) for one in sorted(self.measurements, key=lambda one: one["suite"])]
        path.write_text("[\n" + ",\n".join(lines) + "\n]\n")

    def select(self, suite: str, **equal: object) -> list[Measurement]:
        """Return the measurements of a suite whose other keys have these values, in the order of their seeds."""
        chosen = [
            one
            for one in self.measurements
            if one["suite"] == suite and all(one.get(key) == value for key, value in equal.items())
        ]
        return sorted(chosen, key=lambda one: one["seed"])

    def replaced(self, suites: Sequence[str], measurements: Sequence[Measurement]) -> Results:
        """Return these results with new measurements in place of all those of some suites."""
        return Results([*(one for one in self.measurements if one["suite"] not in suites), *measurements])
