"""Figures from what was measured: medians with their range, times to the target, shares, what orchestration adds."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from records import Feeding, Program, ShardedRun, TrainingJob

ROWS = 60_000
TEST_ROWS = 10_000
LAYERS = ((784, 128), (128, 64), (64, 10))


class Spread(NamedTuple):
    """A median with its range."""

    median: float
    low: float
    high: float


def spread(values: Iterable[float]) -> Spread | None:
    """Give the median and the range of what was measured, None of nothing."""
    known = sorted(values)
    return Spread(median(known), known[0], known[-1]) if known else None


def to_target(trainings: Sequence[TrainingJob], *, unreached: bool = False) -> Spread | None:
    """Give the seconds to the target; a run that never got there counts as for ever.

    With `unreached` such a run counts as the time it was given: less than it needs, so that a comparison with it
    flatters nobody but itself.
    """
    return spread(
        training.seconds_to_target
        if training.seconds_to_target is not None
        else (sum(training.epoch_seconds) if unreached else math.inf)
        for training in trainings
    )


def epoch_seconds(training: TrainingJob) -> float:
    """Give the median epoch of a training, leaving out the first, which compiles."""
    return median(training.epoch_seconds[1:] or training.epoch_seconds)


def epoch_operations() -> int:
    """Count the operations that an epoch needs, biases and activations left out.

    Two each of forward pass, weight gradient and input gradient; the first layer needs no input gradient.
    """
    weights = [inputs * outputs for inputs, outputs in LAYERS]
    return ROWS * (3 * 2 * sum(weights) - 2 * weights[0])


def peak_share(training: TrainingJob) -> float | None:
    """Give the share of the matrix-product peak that a training held, if the peak was sought beside it."""
    if training.matmul_flops is None:
        return None
    return epoch_operations() / epoch_seconds(training) / training.matmul_flops


def errors(program: Program) -> int:
    """Count the test rows that a program's network got wrong."""
    return round(TEST_ROWS * (1 - program.accuracy))


def added(programs: Sequence[Program], without: Sequence[Program]) -> Spread | None:
    """Give the seconds by which programs took longer than others of the same seed."""
    base = {program.seed: program.seconds for program in without}
    return spread(program.seconds - base[program.seed] for program in programs if program.seed in base)


def ratio(part: Spread | None, whole: Spread | None) -> float | None:
    """Give the ratio of two medians, if both were measured and finite."""
    if part is None or whole is None or math.isinf(whole.median):
        return None
    return part.median / whole.median


def validating(run: ShardedRun) -> float:
    """Give the seconds a row that a flow spent on loading, staging and validating."""
    return (run.stages["load"] + run.stages["validate"]) / run.rows


def training(run: ShardedRun) -> float:
    """Give the seconds a row and pass that a flow spent on training, the compilation included."""
    return run.stages["train"] / (run.rows * run.epochs)


def held_pace(feeding: Feeding) -> float:
    """Give what part of the pace in memory a training in blocks from disk holds."""
    return median(feeding.memory_seconds) / median(feeding.block_seconds)
