"""The project's goals: a bound each, and the measured value beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from metrics import (
    cached_rows_per_second,
    errors,
    median_of,
    median_seconds,
    memory_per_frame,
    orchestration_seconds,
    peak_share,
    ratio,
    rows_per_second,
    seconds_to_target,
    seconds_to_target_or_end,
    spread_of,
    training_seconds,
    training_seconds_per_row,
    validated_rows_per_second,
    validation_seconds_per_row,
    warm_rows_per_second,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from metrics import Metric
    from results import Measurement, Results

    Value = Callable[[Results], float | None]

UNITS = {"×": "{:.2f} ×", "%": "{:.2%}", "s": "{:.1f} s", "MiB": "{:,.0f} MiB", "rows/s": "{:,.0f} rows a second"}


@dataclass(frozen=True)
class Goal:
    """A bound, and how the bounded value is computed: None where it wasn't measured."""

    text: str
    sense: Literal["at most", "at least"]
    bound: float
    unit: Literal["×", "%", "s", "MiB", "rows/s"]
    value: Value

    def row(self, results: Results) -> tuple[str, str, str, str]:
        """Return the goal's row of the table."""
        bound, value = f"{self.sense} {self._quantity(self.bound)}", self.value(results)
        if value is None:
            return self.text, bound, "—", "not measured"
        is_met = value <= self.bound if self.sense == "at most" else value >= self.bound
        return self.text, bound, self._quantity(value), "met" if is_met else "**missed**"

    def _quantity(self, value: float) -> str:
        return UNITS[self.unit].format(value).replace("%", " %")


def middle(suite: str, case: str, metric: Metric) -> Value:
    """Return the median of a case's metric."""
    return lambda results: median_of(results.select(suite, case=case), metric)


def compare(suite: str, case: str, other: str, metric: Metric, other_metric: Metric | None = None) -> Value:
    """Return the ratio of a case's median to that of another case."""
    return lambda results: ratio(
        spread_of(results.select(suite, case=case), metric),
        spread_of(results.select(suite, case=other), other_metric or metric),
    )


def highest(suite: str, metric: Callable[[Measurement], float], **equal: str) -> Value:
    """Return the highest value of a metric."""
    return lambda results: max(map(metric, results.select(suite, **equal)), default=None)


def to_target(baseline: str) -> Value:
    """Return the engine's time to the target relative to a baseline's."""
    return compare("training", "engine", baseline, seconds_to_target, seconds_to_target_or_end)


def accuracy(suite: str, case: str) -> Value:
    """Return the median test accuracy."""
    return middle(suite, case, "accuracy")


def program(metric: Metric) -> Value:
    """Return the whole training program's metric relative to the plain script's."""
    return compare("programs", "flow", "plain_script", metric)


def growth(metric: Metric) -> Value:
    """Return how a metric of the flow differs between 8.1 million rows and one million."""
    return compare("shards", "flow_8100000", "flow_1000000", metric)


def orchestration(case: str) -> Value:
    """Return what orchestration costs a flow."""
    return lambda results: orchestration_seconds(results, case)


def peak_mib(run: Measurement) -> float:
    """Return a peak memory in MiB."""
    return float(run["peak_bytes"] / 2**20)


CHECKS = "validation, everything"
TO_TARGET = "Training time to 97.56 %, compilation included, relative to"
BIG_TO_SMALL = "8,100,000 rows relative to 1,000,000"

GOALS = (
    Goal(f"{TO_TARGET} the plain Keras script", "at most", 1 / 10, "×", to_target("keras_plain")),
    Goal(f"{TO_TARGET} scikit-learn", "at most", 1 / 2, "×", to_target("sklearn_mlp")),
    Goal(f"{TO_TARGET} scikit-learn on float32", "at most", 1 / 2, "×", to_target("sklearn_mlp_float32")),
    Goal(f"{TO_TARGET} the PyTorch loop", "at most", 1 / 3, "×", to_target("pytorch_loop")),
    Goal("Share of the matrix-product peak", "at least", 0.60, "%", middle("training", "engine_peak", peak_share)),
    Goal("Whole training program relative to the plain script", "at most", 1 / 2, "×", program("process_seconds")),
    Goal("Its test errors relative to the plain script's", "at most", 1 / 2, "×", program(errors)),
    Goal("Orchestration, with the temporary server", "at most", 10, "s", orchestration("flow")),
    Goal("Orchestration, with a server running", "at most", 1.5, "s", orchestration("flow_served")),
    Goal(
        "Peak memory of the training process relative to the plain script's", "at most", 1, "×", program("peak_bytes")
    ),
    Goal(
        "The same with the temporary server's process",
        "at most",
        1,
        "×",
        compare("memory", "flow", "plain_script", "all_processes_peak_bytes"),
    ),
    Goal("`fast`, mlp: median test accuracy", "at least", 0.9885, "%", accuracy("training", "engine_fast")),
    Goal("All checks of MNIST's 70,000 rows", "at most", 1.5, "s", middle("data", CHECKS, median_seconds)),
    Goal("Their peak memory relative to the table's", "at most", 2, "×", middle("data", CHECKS, memory_per_frame)),
    Goal("A CSV file of 60,000 rows read", "at most", 3, "s", middle("data", "reader: csv", median_seconds)),
    Goal(
        "Images per second of `predict` relative to a `model.predict` script",
        "at least",
        3,
        "×",
        compare("prediction", "project", "keras", rows_per_second),
    ),
    Goal(
        "Its peak memory on a million images relative to 50,000",
        "at most",
        1.1,
        "×",
        compare("prediction", "project_million", "project", "peak_bytes"),
    ),
    Goal("`best`, mlp: median test accuracy", "at least", 0.992, "%", accuracy("long", "engine_best")),
    Goal("`best`, mlp: longest training", "at most", 600, "s", highest("long", training_seconds, case="engine_best")),
    Goal("`best`, cnn: median test accuracy", "at least", 0.996, "%", accuracy("long", "engine_cnn")),
    Goal("`best`, cnn: longest training", "at most", 300, "s", highest("long", training_seconds, case="engine_cnn")),
    Goal(
        "1,000,000 rows from disk, 1 epoch: test accuracy", "at least", 0.985, "%", accuracy("shards", "flow_1000000")
    ),
    Goal("8,100,000 rows, 4 epochs: test accuracy", "at least", 0.992, "%", accuracy("shards", "flow_8100000")),
    Goal("Peak memory of the training program on rows from disk", "at most", 2048, "MiB", highest("shards", peak_mib)),
    Goal(f"Peak memory, {BIG_TO_SMALL}", "at most", 1.1, "×", growth("peak_bytes")),
    Goal(f"Loading and validating, per row, {BIG_TO_SMALL}", "at most", 1.1, "×", growth(validation_seconds_per_row)),
    Goal(f"Training, per row and epoch, {BIG_TO_SMALL}", "at most", 1.1, "×", growth(training_seconds_per_row)),
    Goal(
        "Rows cached and validated by the flow",
        "at least",
        150_000,
        "rows/s",
        middle("shards", "flow_8100000", validated_rows_per_second),
    ),
    Goal(
        "Rows validated again, all cached",
        "at least",
        150_000,
        "rows/s",
        middle("cache", "rows_8100000", cached_rows_per_second),
    ),
    Goal(
        "Training in blocks from disk, pace relative to memory",
        "at least",
        0.90,
        "%",
        compare("blocks", "disk", "memory", warm_rows_per_second),
    ),
)
