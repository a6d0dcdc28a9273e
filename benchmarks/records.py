"""What was measured, as it is kept in `results.json`, `long.json` and `large.json`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
RESULTS, LONG_RESULTS, LARGE_RESULTS = HERE / "results.json", HERE / "long.json", HERE / "large.json"


@dataclass(frozen=True)
class TrainingJob:
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
    trainings: list[TrainingJob] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)
    tree_peaks: dict[str, int] = field(default_factory=dict)
    data: list[Timed] = field(default_factory=list)
    predictings: list[Predicting] = field(default_factory=list)

    def trainings_of(self, contender: str) -> list[TrainingJob]:
        """Give the trainings of a contender, by seed."""
        return sorted((one for one in self.trainings if one.contender == contender), key=lambda one: one.seed)

    def programs_of(self, program: str) -> list[Program]:
        """Give the runs of a program, by seed."""
        return sorted((one for one in self.programs if one.program == program), key=lambda one: one.seed)

    def predictings_of(self, contender: str) -> list[Predicting]:
        """Give the predictions of a contender, by seed."""
        return sorted((one for one in self.predictings if one.contender == contender), key=lambda one: one.seed)


@dataclass(frozen=True)
class ShardedRun(Program):
    """One run of the whole flow on so many rows of shards; `anonymous_bytes` is the part of its peak that is no file's.

    `rows` counts those that came, `epochs` the passes over them.
    """

    rows: int
    epochs: int
    anonymous_bytes: int | None = None


@dataclass(frozen=True)
class ShardCache:
    """Shards read by PyArrow alone, then validated with nothing staged, then again with all staged: seconds of each."""

    rows: int
    seed: int
    shards: int
    source_bytes: int
    read_seconds: float
    first_seconds: float
    again_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Feeding:
    """Training on the same rows in memory and in blocks from disk, by turns: seconds of epochs, without the first."""

    rows: int
    seed: int
    blocks: int
    memory_seconds: list[float]
    block_seconds: list[float]


@dataclass(frozen=True)
class Shared:
    """One training on so many rows, by this process alone (no workers) or by Ray workers that share each batch.

    `seconds` are those of all, from the call to the trained network; those of epochs are without saving. A row takes
    `read_seconds` to read from disk.
    """

    case: str
    seed: int
    rows: int
    workers: int
    read_seconds: float
    epoch_seconds: list[float]
    seconds: float
    accuracy: float


@dataclass(frozen=True)
class Portions:
    """A worker's portion of a batch, by the number of workers, on a machine of its own; an exchange of gradients."""

    case: str
    seed: int
    batch: int
    gradient_bytes: int
    portion_seconds: dict[str, list[float]]
    exchange_seconds: list[float]


@dataclass
class Large:
    """What was measured on data larger than memory; of each part what there is, by size and repeat."""

    date: str
    machine: dict[str, str]
    flows: list[ShardedRun] = field(default_factory=list)
    stagings: list[ShardCache] = field(default_factory=list)
    feedings: list[Feeding] = field(default_factory=list)
    shared: list[Shared] = field(default_factory=list)
    portions: list[Portions] = field(default_factory=list)

    def flows_of(self, rows: int) -> list[ShardedRun]:
        """Give the runs of the flow on so many rows."""
        return [one for one in self.flows if one.rows == rows]

    def stagings_of(self, rows: int) -> list[ShardCache]:
        """Give what was measured of staging so many rows."""
        return [one for one in self.stagings if one.rows == rows]

    def shared_of(self, case: str, workers: int) -> list[Shared]:
        """Give the trainings of a case by so many workers, by seed."""
        found = [one for one in self.shared if (one.case, one.workers) == (case, workers)]
        return sorted(found, key=lambda one: one.seed)

    def portions_of(self, case: str) -> list[Portions]:
        """Give what was measured of a case's portions."""
        return [one for one in self.portions if one.case == case]


def write(path: Path, results: Results | Large) -> None:
    """Keep results as JSON."""
    path.write_text(json.dumps(dataclasses.asdict(results), indent=1) + "\n")


def read(path: Path) -> Results | None:
    """Give the results that were kept, if any were."""
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    trainings = [TrainingJob(**training) for training in kept.pop("trainings")]
    programs = [Program(**program) for program in kept.pop("programs")]
    data = [Timed(**timed) for timed in kept.pop("data", [])]
    predictings = [Predicting(**one) for one in kept.pop("predictings", [])]
    return Results(trainings=trainings, programs=programs, data=data, predictings=predictings, **kept)


def read_large(path: Path) -> Large | None:
    """Give what was kept of data larger than memory, if anything was."""
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    flows = [ShardedRun(**one) for one in kept.pop("flows")]
    stagings = [ShardCache(**one) for one in kept.pop("stagings")]
    feedings = [Feeding(**one) for one in kept.pop("feedings")]
    shared = [Shared(**one) for one in kept.pop("shared", [])]
    portions = [Portions(**one) for one in kept.pop("portions", [])]
    return Large(flows=flows, stagings=stagings, feedings=feedings, shared=shared, portions=portions, **kept)
