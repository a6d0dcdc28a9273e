"""Metrics that are computed from measurements, and the median with the range of several."""

from __future__ import annotations

import math
from itertools import accumulate
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from results import Measurement, Results

    Metric = str | Callable[[Measurement], float | None]

TARGET_ACCURACY = 0.9756
TRAINING_ROWS, TEST_ROWS = 60_000, 10_000
LAYERS = ((784, 128), (128, 64), (64, 10))
OUTSIDE_STAGES = ("start-up", "orchestration")
NETWORK_LATENCY_SECONDS, NETWORK_BYTES_PER_SECOND = 50e-6, 1.25e9
"""Assumed between machines of a rack with 10 Gbit/s, not measured."""


class Spread(NamedTuple):
    """A median with its range."""

    median: float
    low: float
    high: float


def spread(values: Iterable[float]) -> Spread | None:
    """Return the median and range of some values, or None if there are none."""
    ordered = sorted(values)
    return Spread(median(ordered), ordered[0], ordered[-1]) if ordered else None


def spread_of(measurements: Iterable[Measurement], metric: Metric) -> Spread | None:
    """Return the median and range of a metric over the measurements that have it."""
    function = (lambda one: one.get(metric)) if isinstance(metric, str) else metric
    return spread(value for value in map(function, measurements) if value is not None)


def median_of(measurements: Sequence[Measurement], metric: Metric) -> float | None:
    """Return the median of a metric over the measurements that have it."""
    found = spread_of(measurements, metric)
    return found and found.median


def ratio(part: Spread | None, whole: Spread | None) -> float | None:
    """Return the ratio of two medians, or None unless both are known and finite."""
    if part is None or whole is None or math.isinf(part.median) or math.isinf(whole.median):
        return None
    return part.median / whole.median


def seconds_to_target(training: Measurement) -> float:
    """Return the training time up to the first epoch that reached the target accuracy; infinity if none did."""
    times = zip(accumulate(training["epoch_seconds"]), training["accuracies"], strict=True)
    return next((seconds for seconds, accuracy in times if accuracy >= TARGET_ACCURACY), math.inf)


def seconds_to_target_or_end(training: Measurement) -> float:
    """Return the same, but all its training time, less than it would need, for a run that didn't reach the target."""
    return min(seconds_to_target(training), training_seconds(training))


def training_seconds(training: Measurement) -> float:
    """Return the seconds of all epochs."""
    return math.fsum(training["epoch_seconds"])


def epoch_seconds(training: Measurement) -> float:
    """Return the median epoch without the first one, which compiles."""
    return median(training["epoch_seconds"][1:] or training["epoch_seconds"])


def epoch_operations() -> int:
    """Return the floating-point operations of one epoch's matrix products.

    Per weight two for the forward pass, the weight gradient and the input gradient; the first layer has none of the
    last. Biases and activations aren't counted.
    """
    weights = [inputs * outputs for inputs, outputs in LAYERS]
    return TRAINING_ROWS * (3 * 2 * sum(weights) - 2 * weights[0])


def median_seconds(timed: Measurement) -> float:
    """Return the median of a measurement's repetitions."""
    return median(timed["seconds"])


def memory_per_frame(timed: Measurement) -> float:
    """Return the memory of a validation relative to that of its table."""
    return float(timed["peak_bytes"] / timed["frame_bytes"])


def rows_per_second(run: Measurement) -> float:
    """Return the pace of a prediction."""
    return float(run["rows"] / run["seconds"])


def peak_share(training: Measurement) -> float:
    """Return the reached share of the matrix-product peak that was measured in the same process."""
    return float(epoch_operations() / epoch_seconds(training) / training["matmul_flops"])


def errors(program: Measurement) -> int | None:
    """Return the number of misclassified test rows, None for a program that doesn't train."""
    return round(TEST_ROWS * (1 - program["accuracy"])) if "accuracy" in program else None


def stage_seconds(program: Measurement) -> float:
    """Return the seconds that a flow spent inside its stages; 0 for a program without stages."""
    return sum(seconds for stage, seconds in program.get("stages", {}).items() if stage not in OUTSIDE_STAGES)


def outside_seconds(program: Measurement) -> float:
    """Return the seconds of a program outside its stages: start-up, between the stages, and exit."""
    return float(program["process_seconds"] - stage_seconds(program))


def exit_seconds(program: Measurement) -> float:
    """Return the seconds after a flow's last stage: publishing, reporting, ending its server."""
    return outside_seconds(program) - sum(program["stages"][stage] for stage in OUTSIDE_STAGES)


def orchestration_seconds(results: Results, case: str) -> float | None:
    """Return what a flow spends outside its stages beyond a start without Prefect, median minus median."""
    # The stand-in for Prefect is measured no more; its figures count until `imports` takes their place.
    baseline = results.select("programs", case="imports") or results.select("programs", case="without_prefect")
    flow, without = (spread_of(runs, outside_seconds) for runs in (results.select("programs", case=case), baseline))
    return flow.median - without.median if flow and without else None


def validation_seconds_per_row(run: Measurement) -> float:
    """Return the seconds per row that a flow spent loading, caching and validating shards."""
    return float((run["stages"]["load"] + run["stages"]["validate"]) / run["rows"])


def training_seconds_per_row(run: Measurement) -> float:
    """Return the seconds per row and epoch that a flow spent training, compilation included."""
    return float(run["stages"]["train"] / (run["rows"] * run["epochs"]))


def validated_rows_per_second(run: Measurement) -> float:
    """Return the pace at which a flow loads, caches and validates shards."""
    return 1 / validation_seconds_per_row(run)


def cached_rows_per_second(run: Measurement) -> float:
    """Return the pace of validating shards that are cached."""
    return float(run["rows"] / run["again_seconds"])


def warm_rows_per_second(run: Measurement) -> float:
    """Return the pace of training after the first epoch."""
    return float(run["rows"] / median(run["warm_epoch_seconds"]))


def start_and_end_seconds(training: Measurement) -> float:
    """Return what a training by workers takes beside its epochs."""
    return float(training["stages"]["train"] - training_seconds(training))


def exchange_seconds(cluster: Measurement, machines: int) -> float:
    """Estimate the exchange of gradients between machines: the messages and bytes of a ring all-reduce."""
    hops = 2 * (machines - 1)
    message = median(cluster["exchange_seconds"]) / 2  # measured between two, whose ring has two hops
    transfer = hops / machines * cluster["gradient_bytes"] / NETWORK_BYTES_PER_SECOND
    return hops * (message + NETWORK_LATENCY_SECONDS) + transfer


def batch_seconds(cluster: Measurement, machines: int) -> float:
    """Estimate the seconds of a batch that machines share, each of which reads all of its rows from disk."""
    exchange = exchange_seconds(cluster, machines) if machines > 1 else 0
    return max(step_seconds(cluster, machines) + exchange, cluster["batch"] * cluster["row_read_seconds"])


def break_even_batch(cluster: Measurement, machines: int) -> float:
    """Estimate the batch size from which on several machines are faster than one."""
    saved = step_seconds(cluster, 1) - step_seconds(cluster, machines)
    return float(cluster["batch"] * exchange_seconds(cluster, machines) / saved)


def step_seconds(cluster: Measurement, machines: int) -> float:
    """Return what one of several machines spends on its share of a batch."""
    return median(cluster["step_seconds"][str(machines)])
