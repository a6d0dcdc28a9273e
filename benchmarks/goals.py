"""What the project set out to reach, each goal beside what was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Literal

import entrants
import predicting
import programs
from summary import added, errors, held_pace, peak_share, ratio, spread, to_target, training, validating
from tables import MEBIBYTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from records import Large, Results, ShardedRun, Timed, TrainingJob

PASSES_ACCURACY = {1_000_000: (1, 0.985), 8_100_000: (4, 0.992)}
"""Of rows larger than memory: after how many passes which test accuracy is to be reached."""


@dataclass(frozen=True)
class Goal:
    """A bound and the figure that is held to it, None when it wasn't measured."""

    what: str
    sense: Literal["at most", "at least"]
    bound: float
    measured: float | None
    unit: Literal["×", "%", "s", "MiB", "rows a second"]

    @property
    def verdict(self) -> str:
        """Tell whether the goal is met."""
        if self.measured is None or math.isnan(self.measured):
            return "not measured"
        met = self.measured <= self.bound if self.sense == "at most" else self.measured >= self.bound
        return "met" if met else "**missed**"


def goals(results: Results, long: Results | None, large: Large | None) -> list[Goal]:
    """Give every goal with its figure."""
    return [
        *_training_times(results),
        Goal(
            "Share of the matrix-product peak, an epoch without augmentation",
            "at least",
            0.60,
            _median(peak_share(training) for training in results.trainings_of(entrants.ENGINE_PEAK)),
            "%",
        ),
        *_whole_programs(results),
        *_memory(results),
        _accuracy("`fast`, mlp: median test accuracy", 0.9885, results.trainings_of(entrants.ENGINE_FAST)),
        *_data(results.data),
        *_predictings(results),
        *_long(long),
        *(_large(large) if large else []),
    ]


def _training_times(results: Results) -> list[Goal]:
    engine = to_target(results.trainings_of(entrants.ENGINE))
    rivals = (
        (entrants.KERAS_PLAIN, "the plain Keras script's", 1 / 10),
        (entrants.SKLEARN, "scikit-learn's", 1 / 2),
        (entrants.SKLEARN_SINGLE, "scikit-learn's on float32", 1 / 2),
        (entrants.PYTORCH, "the PyTorch loop's", 1 / 3),
    )
    return [
        Goal(
            f"Training time to 97.56 %, compilation included, of {whose}",
            "at most",
            bound,
            ratio(engine, to_target(results.trainings_of(name), unreached=True)),
            "×",
        )
        for name, whose, bound in rivals
    ]


def _whole_programs(results: Results) -> list[Goal]:
    flow, plain = results.programs_of(programs.FLOW), results.programs_of(programs.PLAIN)
    without = results.programs_of(programs.WITHOUT)
    seconds = [spread(run.seconds for run in runs) for runs in (flow, plain)]
    mistakes = [spread(errors(run) for run in runs) for runs in (flow, plain)]
    alone = added(flow, without)
    served = added(results.programs_of(programs.FLOW_SERVED), without)
    return [
        Goal("Whole `train_flow.py`, of the plain script's time", "at most", 1 / 2, ratio(*seconds), "×"),
        Goal("Its test errors, of the plain script's", "at most", 1 / 2, ratio(*mistakes), "×"),
        Goal("Orchestration adds, with the temporary server", "at most", 10, alone and alone.median, "s"),
        Goal("Orchestration adds, with a server running", "at most", 1.5, served and served.median, "s"),
    ]


def _memory(results: Results) -> list[Goal]:
    runs = (results.programs_of(program) for program in (programs.FLOW, programs.PLAIN))
    process = ratio(*(spread(run.peak_bytes for run in one) for one in runs))
    peaks = results.tree_peaks
    tree = peaks[programs.FLOW] / peaks[programs.PLAIN] if peaks else None
    return [
        Goal("Peak memory of a default run, its training process, of the plain script's", "at most", 1, process, "×"),
        Goal("The same with its temporary server's process", "at most", 1, tree, "×"),
    ]


def _data(timed: Sequence[Timed]) -> list[Goal]:
    seconds = {one.what: median(one.seconds) for one in timed}
    held = next((one for one in timed if one.peak_bytes is not None and one.frame_bytes is not None), None)
    memory = held.peak_bytes / held.frame_bytes if held and held.peak_bytes and held.frame_bytes else None
    return [
        Goal("All checks of MNIST's 70,000 rows", "at most", 1.5, seconds.get("validation, everything"), "s"),
        Goal("Their peak memory, of the frames'", "at most", 2, memory, "×"),
        Goal("A CSV of 60,000 rows read", "at most", 3, seconds.get("reader: csv"), "s"),
    ]


def _predictings(results: Results) -> list[Goal]:
    own, plain = (
        spread(one.rows / one.seconds for one in results.predictings_of(name))
        for name in (predicting.ENGINE, predicting.KERAS)
    )
    many, few = (
        spread(one.peak_bytes for one in results.predictings_of(name))
        for name in (predicting.ENGINE_MANY, predicting.ENGINE)
    )
    return [
        Goal("Images a second of `predict`, of a `model.predict` script's", "at least", 3, ratio(own, plain), "×"),
        Goal("Its peak memory on a million images, of that on 50,000", "at most", 1.1, ratio(many, few), "×"),
    ]


def _long(long: Results | None) -> list[Goal]:
    best = long.trainings_of(entrants.ENGINE_BEST) if long else []
    cnn = long.trainings_of(entrants.ENGINE_CNN) if long else []
    return [
        _accuracy("`best`, mlp: median test accuracy", 0.992, best),
        Goal("`best`, mlp: longest training", "at most", 600, _longest(best), "s"),
        _accuracy("`best`, cnn: median test accuracy", 0.996, cnn),
        Goal("`best`, cnn: longest training", "at most", 300, _longest(cnn), "s"),
    ]


def _large(large: Large) -> list[Goal]:
    return [*_large_accuracies(large), *_constant(large), *_paces(large)]


def _large_accuracies(large: Large) -> list[Goal]:
    return [
        Goal(
            f"{rows:,} rows from disk, {passes} {'pass' if passes == 1 else 'passes'}: median test accuracy",
            "at least",
            bound,
            _median(run.accuracy for run in large.flows_of(rows) if run.epochs == passes),
            "%",
        )
        for rows, (passes, bound) in PASSES_ACCURACY.items()
    ]


def _constant(large: Large) -> list[Goal]:
    """Hold what must not grow with the rows to its bounds."""
    sizes = sorted({run.rows for run in large.flows})
    few, many = (large.flows_of(sizes[0]), large.flows_of(sizes[-1])) if len(sizes) > 1 else ([], [])
    compared = f"with {sizes[-1]:,} rows, of that with {sizes[0]:,}" if few else "with many rows, of that with few"

    def grown(figure: Callable[[ShardedRun], float]) -> float | None:
        return ratio(spread(map(figure, many)), spread(map(figure, few)))

    highest = max((run.peak_bytes / MEBIBYTE for run in large.flows), default=None)
    return [
        Goal("Peak memory of a flow on rows from disk, the highest", "at most", 2048, highest, "MiB"),
        Goal(f"Peak memory {compared}", "at most", 1.1, grown(lambda run: run.peak_bytes), "×"),
        Goal(f"Loading and validating, a row, {compared}", "at most", 1.1, grown(validating), "×"),
        Goal(f"Training, a row and pass, {compared}", "at most", 1.1, grown(training), "×"),
    ]


def _paces(large: Large) -> list[Goal]:
    most = max((run.rows for run in (*large.flows, *large.stagings)), default=0)
    first = _median(1 / validating(run) for run in large.flows_of(most))
    again = _median(one.rows / one.again_seconds for one in large.stagings_of(most))
    held = _median(map(held_pace, large.feedings))
    return [
        Goal("Rows staged and validated by the flow", "at least", 150_000, first, "rows a second"),
        Goal("Rows validated again, all staged", "at least", 150_000, again, "rows a second"),
        Goal("Pace of training in blocks from disk, of that in memory", "at least", 0.9, held, "%"),
    ]


def _accuracy(what: str, bound: float, trainings: list[TrainingJob]) -> Goal:
    return Goal(what, "at least", bound, _median(training.final_accuracy for training in trainings), "%")


def _longest(trainings: list[TrainingJob]) -> float | None:
    return max((sum(training.epoch_seconds) for training in trainings), default=None)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
