"""Render `results.md`: the template with its placeholders filled from the measurements."""

from __future__ import annotations

import math
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, NamedTuple

import metrics as m
from goals import GOALS
from suites import SETTINGS, SUITES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from metrics import Metric, Spread
    from results import Measurement, Results

    Column = Callable[[list[Measurement]], str]
    Placeholder = Callable[[Results], str]

TEMPLATE = Path(__file__).with_name("results.template.md")
PAGE = Path(__file__).with_name("results.md")
UNKNOWN = "—"
WORKERS = 2
MACHINES = (2, 8, 64)


class Format(NamedTuple):
    """How a metric is written: digits, unit, and what it is multiplied with first."""

    pattern: str
    unit: str = ""
    factor: float = 1

    def text(self, values: Spread | None) -> str:
        """Write a median and, unless all values are the same, their range."""
        if values is None:
            return UNKNOWN
        middle, low, high = (self.pattern.format(self.factor * value) for value in values)
        return f"{middle}{self.unit}" if values.low == values.high else f"{middle}{self.unit} ({low} to {high})"

    def of(self, metric: Metric) -> Column:
        """Return the column of a table that has this metric."""
        return lambda runs: self.text(m.spread_of(runs, metric))


SECONDS, WHOLE_SECONDS, PRECISE_SECONDS = Format("{:.2f}", " s"), Format("{:.0f}", " s"), Format("{:.3f}", " s")
PERCENT, COUNT, MICROSECONDS = Format("{:.2f}", " %", 100), Format("{:,.0f}"), Format("{:.2f}", " µs", 1e6)
MIB, GFLOPS = Format("{:.0f}", " MiB", 2**-20), Format("{:.0f}", " GFLOP/s", 1e-9)


def render(results: Results) -> str:
    """Return the page."""
    filled = {name: placeholder(results) for name, placeholder in PLACEHOLDERS.items()}
    measured = {f"measured_{suite}": measured_text(results, suite) for suite in SUITES}
    return Template(TEMPLATE.read_text()).substitute(filled | measured)


def measured_text(results: Results, suite: str) -> str:
    """Return when, where and how often a suite was measured."""
    runs = results.select(suite)
    if not runs:
        return f"Not measured; `python benchmarks/bench.py --suite {suite}` does it."
    where = "; ".join(dict.fromkeys(f"{one['date']}: {one['machine']}" for one in runs))
    libraries = dict(sorted(pair for one in runs for pair in one.get("libraries", {}).items()))
    versions = "".join(f", {name} {version}" for name, version in libraries.items())
    n_runs = len({one["seed"] for one in runs})
    return f"Measured on {where}{versions}; {n_runs} {'run' if n_runs == 1 else 'runs'} of each."


def markdown_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    header = [*header]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def table(groups: Mapping[str, list[Measurement]], columns: Mapping[str, Column]) -> str:
    """Return a table with a row for each group of measurements, but for those that have none."""
    rows = [[title, *(column(runs) for column in columns.values())] for title, runs in groups.items() if runs]
    return markdown_table(["", *columns], rows) if rows else ""


def by_case(results: Results, suite: str, *names: str) -> dict[str, list[Measurement]]:
    """Return the measurements of a suite's cases, or of some of them, by title."""
    cases = [case for case in SUITES[suite].cases if not names or case.name in names]
    return {case.title: results.select(suite, case=case.name) for case in cases}


def suite_table(results: Results, suite: str, columns: Mapping[str, Column]) -> str:
    """Return a table with a row for each case of a suite, and the names of those that weren't measured."""
    missing = [case.title for case in SUITES[suite].cases if case.script and not results.select(suite, case=case.name)]
    note = f"\n\nNot measured: {'; '.join(missing)}." if missing else ""
    return table(by_case(results, suite), columns) + note


def relative(metric: Metric, reference: list[Measurement]) -> Column:
    """Return the column with a metric's ratio to that of a reference."""
    return lambda runs: times(m.ratio(m.spread_of(runs, metric), m.spread_of(reference, metric)))


def times(ratio: float | None) -> str:
    """Write a ratio."""
    return UNKNOWN if ratio is None else f"{ratio:.2f} ×"


def first(key: str, pattern: str = "{:,}") -> Column:
    """Return the column of a number that all runs share."""
    return lambda runs: pattern.format(runs[0][key])


def goals(results: Results) -> str:
    """Return the goals with their measured values."""
    return markdown_table(("Goal", "Bound", "Measured", ""), [goal.row(results) for goal in GOALS])


def training(results: Results) -> str:
    """Return the comparison of training time, accuracy and memory."""
    engine = results.select("training", case="engine")
    columns = {
        "To 97.56 %": time_to_target,
        "relative time": relative(m.seconds_to_target, engine),
        "An epoch": SECONDS.of(m.epoch_seconds),
        "relative epoch": relative(m.epoch_seconds, engine),
        "Final accuracy": PERCENT.of("accuracy"),
        "Peak memory": MIB.of("peak_bytes"),
    }
    return suite_table(results, "training", columns)


def time_to_target(runs: list[Measurement]) -> str:
    """Write the time to the target, and how many runs never reached it."""
    reached = [seconds for seconds in map(m.seconds_to_target, runs) if math.isfinite(seconds)]
    n_missing = len(runs) - len(reached)
    if n_missing > len(reached):
        return f"not within {len(runs[0]['epoch_seconds'])} epochs"
    text = SECONDS.text(m.spread_of(runs, m.seconds_to_target))
    return text.replace("to inf", f"to never, {n_missing} of {len(runs)}")


def to_tuned_keras(metric: Metric) -> Placeholder:
    """Return the placeholder for the engine's metric relative to tuned Keras."""

    def ratio(results: Results) -> str:
        return relative(metric, results.select("training", case="keras_tuned"))(
            results.select("training", case="engine")
        )

    return ratio


def peak(results: Results) -> str:
    """Return the share of the machine's matrix-product peak."""
    columns = {
        "Matrix-product peak, float32, 2048 × 2048": GFLOPS.of("matmul_flops"),
        f"An epoch's {m.epoch_operations() / 1e9:.1f} GFLOP": SECONDS.of(m.epoch_seconds),
        "Share of the peak": PERCENT.of(m.peak_share),
    }
    return table(by_case(results, "training", "engine_peak"), columns)


def programs(results: Results) -> str:
    """Return the comparison of whole programs."""
    columns = {
        "Time": SECONDS.of("process_seconds"),
        "relative time": relative("process_seconds", results.select("programs", case="plain_script")),
        "Test errors": COUNT.of(m.errors),
        "Peak memory": MIB.of("peak_bytes"),
    }
    return suite_table(results, "programs", columns)


def all_processes(results: Results) -> str:
    """Return the memory of all processes of a program together."""
    titles = {case.name: case.title for case in SUITES["programs"].cases}
    peaks = (f"{titles[one['case']]} {_mib(one['all_processes_peak_bytes'])}" for one in results.select("memory"))
    return ", ".join(peaks) or UNKNOWN


def stages(results: Results) -> str:
    """Return where the time of a flow goes."""
    columns = {
        "Start-up": SECONDS.of(lambda run: run["stages"]["start-up"]),
        "Stages": SECONDS.of(m.stage_seconds),
        "Between stages": SECONDS.of(lambda run: run["stages"]["orchestration"]),
        "Publishing and exit": SECONDS.of(m.exit_seconds),
        "All but the stages": SECONDS.of(m.outside_seconds),
    }
    return table(by_case(results, "programs", "flow", "flow_served", "without_prefect"), columns)


def start_without_prefect(results: Results) -> str:
    """Return how the start was measured that orchestration is compared with."""
    imports = results.select("programs", case="imports")
    if imports:
        return f"That start is the import of its libraries alone, {SECONDS.of('process_seconds')(imports)}."
    without = {run["seed"]: run["process_seconds"] for run in results.select("programs", case="without_prefect")}
    more = [
        SECONDS.of(lambda run: run["process_seconds"] - without[run["seed"]])(results.select("programs", case=case))
        for case in ("flow", "flow_served")
        if without
    ]
    return (
        "That start, the last row, was measured by a stand-in for Prefect that is no longer part of the benchmark. "
        f"Whole runs took {' and '.join(more)} more with Prefect than with it, the noise of the training included."
    )


def data(results: Results) -> str:
    """Return the times of readers and validation, as they were measured."""
    columns = {
        "Rows": first("rows"),
        "Time": lambda runs: PRECISE_SECONDS.text(m.spread(runs[0]["seconds"])),
        "Rows per second": lambda runs: f"{runs[0]['rows'] / m.median_seconds(runs[0]):,.0f}",
    }
    return table({one["case"]: [one] for one in results.select("data")}, columns)


def validation_memory(results: Results) -> str:
    """Return the memory of validation beside that of its table."""
    for one in results.select("data", case="validation, everything"):
        return f"{_mib(one['peak_bytes'])} beside the table's {_mib(one['frame_bytes'])}"
    return UNKNOWN


def prediction(results: Results) -> str:
    """Return the comparison of prediction."""
    project = results.select("prediction", case="project")
    columns = {
        "Images": first("rows"),
        "Time": SECONDS.of("seconds"),
        "Images per second": COUNT.of(m.rows_per_second),
        "relative time per image": relative(lambda run: 1 / m.rows_per_second(run), project),
        "Whole process": SECONDS.of("process_seconds"),
        "Peak memory": MIB.of("peak_bytes"),
    }
    return suite_table(results, "prediction", columns)


def long(results: Results) -> str:
    """Return the recipes that take minutes."""
    columns = {
        "Test accuracy": PERCENT.of("accuracy"),
        "Training": WHOLE_SECONDS.of(m.training_seconds),
        "Peak memory": MIB.of("peak_bytes"),
    }
    return suite_table(results, "long", columns)


def shards(results: Results) -> str:
    """Return the training program on rows from disk."""
    columns = {
        "Epochs": first("epochs"),
        "Time": SECONDS.of("process_seconds"),
        "Test accuracy": PERCENT.of("accuracy"),
        "Peak memory": MIB.of("peak_bytes"),
        "of it anonymous": MIB.of("anonymous_bytes"),
    }
    return suite_table(results, "shards", columns)


def shard_stages(results: Results) -> str:
    """Return where the time of that program goes, per row."""
    columns = {
        "Load and validate": SECONDS.of(lambda run: run["stages"]["load"] + run["stages"]["validate"]),
        "per row": MICROSECONDS.of(m.validation_seconds_per_row),
        "Train": SECONDS.of(lambda run: run["stages"]["train"]),
        "per row and epoch": MICROSECONDS.of(m.training_seconds_per_row),
        "Evaluate": SECONDS.of(lambda run: run["stages"]["evaluate"]),
    }
    return table(by_case(results, "shards"), columns)


def cache(results: Results) -> str:
    """Return the pace at which shards are validated."""
    columns = {
        "Shards": first("shards"),
        "Parquet": lambda runs: f"{runs[0]['source_bytes'] / 2**20:,.0f} MiB",
        "First time": COUNT.of(lambda run: run["rows"] / run["first_seconds"]),
        "Again, all cached": COUNT.of(m.cached_rows_per_second),
        "`pyarrow.parquet.read_table`": COUNT.of(lambda run: run["rows"] / run["read_seconds"]),
        "Peak memory": MIB.of("peak_bytes"),
    }
    return suite_table(results, "cache", columns)


def blocks(results: Results) -> str:
    """Return the pace of training from memory and from disk."""
    memory = results.select("blocks", case="memory")
    columns = {
        "Rows": first("rows"),
        "Blocks": first("blocks"),
        "Rows per second": lambda runs: COUNT.text(
            m.spread(run["rows"] / seconds for run in runs for seconds in run["warm_epoch_seconds"])
        ),
        "relative pace": relative(m.warm_rows_per_second, memory),
    }
    return table({one["case"]: results.select("blocks", case=one["case"]) for one in results.select("blocks")}, columns)


def by_setting(results: Results, suite: str) -> dict[str, list[Measurement]]:
    """Return a suite's measurements by what workers share."""
    return {title: results.select(suite, setting=title) for title, *_ in SETTINGS.values()}


def by_workers(workers: int, metric: Metric, form: Format) -> Column:
    """Return the column with a metric of the trainings by so many workers."""
    return lambda runs: form.of(metric)([run for run in runs if run["workers"] == workers])


def workers(results: Results) -> str:
    """Return what an epoch takes when workers share each batch."""
    columns = {
        "Rows": first("rows"),
        "This process": lambda runs: SECONDS.text(_warm_epochs(runs, 0)),
        "One Ray worker": lambda runs: SECONDS.text(_warm_epochs(runs, 1)),
        "Two": lambda runs: SECONDS.text(_warm_epochs(runs, WORKERS)),
        "relative time, two": lambda runs: times(m.ratio(_warm_epochs(runs, WORKERS), _warm_epochs(runs, 0))),
        "Start and end, two": by_workers(WORKERS, m.start_and_end_seconds, SECONDS),
        "Accuracy, this process": by_workers(0, "accuracy", PERCENT),
        "Accuracy, two": by_workers(WORKERS, "accuracy", PERCENT),
    }
    return table(by_setting(results, "workers"), columns)


def batches(results: Results) -> str:
    """Return where the time of a batch goes that two workers share."""
    rows = []
    for title, measured in by_setting(results, "cluster").items():
        trainings = results.select("workers", setting=title)
        epoch = _warm_epochs(trainings, WORKERS)
        if measured and epoch:
            batch = epoch.median / math.ceil(trainings[0]["rows"] / measured[0]["batch"])
            alone, exchange = m.step_seconds(measured[0], 1), m.median(measured[0]["exchange_seconds"])
            rows.append([title, *map(_milliseconds, (batch, alone, exchange, batch - alone - exchange))])
    header = ("A batch", "by two workers", "by one process on both cores", "exchange of gradients", "the rest")
    return markdown_table(header, rows)


def cluster(results: Results) -> str:
    """Return what a cluster would need for a batch, by the estimate."""
    columns = {
        "Rows": first("batch"),
        "Gradients": lambda runs: f"{runs[0]['gradient_bytes'] / 1e6:.2f} MB",
        "by one machine": lambda runs: _milliseconds(m.batch_seconds(runs[0], 1)),
        **{f"by {count}": _estimated(count) for count in MACHINES},
        "8 pay from": lambda runs: f"{m.break_even_batch(runs[0], 8):,.0f} rows",
    }
    return table(by_setting(results, "cluster"), columns)


def _estimated(machines: int) -> Column:
    def column(runs: list[Measurement]) -> str:
        seconds = m.batch_seconds(runs[0], machines)
        return f"{_milliseconds(seconds)} ({times(m.batch_seconds(runs[0], 1) / seconds)})"

    return column


def _warm_epochs(runs: Iterable[Measurement], workers: int) -> Spread | None:
    return m.spread(seconds for run in runs if run["workers"] == workers for seconds in run["epoch_seconds"][1:])


def _mib(size: float) -> str:
    return f"{size / 2**20:.0f} MiB"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


def _orchestration(case: str) -> Placeholder:
    def text(results: Results) -> str:
        seconds = m.orchestration_seconds(results, case)
        return UNKNOWN if seconds is None else f"{seconds:.1f} s"

    return text


PLACEHOLDERS: dict[str, Placeholder] = {
    function.__name__: function
    for function in (
        *(
            goals,
            training,
            peak,
            programs,
            all_processes,
            stages,
            start_without_prefect,
            data,
            validation_memory,
            prediction,
            long,
        ),
        *(shards, shard_stages, cache, blocks, workers, batches, cluster),
    )
} | {
    "tuned_time": to_tuned_keras(m.seconds_to_target),
    "tuned_epoch": to_tuned_keras(m.epoch_seconds),
    "orchestration_flow": _orchestration("flow"),
    "orchestration_served": _orchestration("flow_served"),
}
