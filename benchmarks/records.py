"""What was measured, as it is kept in `results.json` and `long.json`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Training:
    """One training of one contender, in a process of its own; see `contenders/laps.py` for what is timed."""

    contender: str
    seed: int
    epoch_seconds: list[float]
    accuracies: list[float]
    seconds_to_target: float | None
    final_accuracy: float
    peak_bytes: int
    libraries: dict[str, str]
    matmul_flops: float | None


@dataclass(frozen=True)
class Program:
    """One run of a whole program, from the start of its process to the exit.

    `stages` is what `metrics.json` says of a flow's seconds; `peak_bytes` that of its largest process.
    """

    program: str
    seed: int
    seconds: float
    peak_bytes: int
    accuracy: float
    stages: dict[str, float]


@dataclass(frozen=True)
class Predicting:
    """One run of predicting on so many images: seconds from loading to the file, and of the whole process."""

    contender: str
    seed: int
    rows: int
    seconds: float
    whole_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Timed:
    """Some reading or checking of so many rows, repeated; memory where it was measured."""

    what: str
    rows: int
    seconds: list[float]
    peak_bytes: int | None = None
    frame_bytes: int | None = None


@dataclass
class Results:
    """Everything that one call of the benchmark measured; `skipped` tells why a contender wasn't.

    `tree_peaks` holds, by program, the most memory that all its processes held together.
    """

    date: str
    machine: dict[str, str]
    skipped: dict[str, str] = field(default_factory=dict)
    trainings: list[Training] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)
    tree_peaks: dict[str, int] = field(default_factory=dict)
    data: list[Timed] = field(default_factory=list)
    predictings: list[Predicting] = field(default_factory=list)

    def trainings_of(self, contender: str) -> list[Training]:
        """Give the trainings of a contender, by seed."""
        return sorted((one for one in self.trainings if one.contender == contender), key=lambda one: one.seed)

    def programs_of(self, program: str) -> list[Program]:
        """Give the runs of a program, by seed."""
        return sorted((one for one in self.programs if one.program == program), key=lambda one: one.seed)

    def predictings_of(self, contender: str) -> list[Predicting]:
        """Give the predictions of a contender, by seed."""
        return sorted((one for one in self.predictings if one.contender == contender), key=lambda one: one.seed)


def write(path: Path, results: Results) -> None:
    """Keep results as JSON."""
    path.write_text(json.dumps(dataclasses.asdict(results), indent=1) + "\n")


def read(path: Path) -> Results | None:
    """Give the results that were kept, if any were."""
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    trainings = [Training(**training) for training in kept.pop("trainings")]
    programs = [Program(**program) for program in kept.pop("programs")]
    data = [Timed(**timed) for timed in kept.pop("data", [])]
    predictings = [Predicting(**one) for one in kept.pop("predictings", [])]
    return Results(trainings=trainings, programs=programs, data=data, predictings=predictings, **kept)
