"""The section of `results.md` on data larger than memory, from what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import workers_section
from summary import held_pace, spread, training, validating
from tables import MEBIBYTE, in_mebibytes, in_percent, in_seconds, spread_told, table, times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from records import Feeding, Large, ShardedRun


def section(large: Large | None) -> str:
    """Write the section, without its heading."""
    if large is None:
        return "Not measured; `make bench-large` does it."
    parts = {"flow": large.flows, "staging": large.stagings, "training": large.feedings, "workers": large.shared}
    counted = ", ".join(f"{part} {len({one.seed for one in runs})}" for part, runs in parts.items() if runs)
    measured = (
        f"Measured on {large.date}: {large.machine['processor']}, {large.machine['cores']} cores, "
        f"{large.machine['memory']}; medians over runs ({counted}), each "
        "in a process of its own, one after another. The rows are MNIST's training digits, deformed at random by "
        "`make_large.py`, in shards of 100,000; they had just been read or written, so that files may be in the "
        "system's cache."
    )
    return "\n\n".join(
        [measured, *_flows(large), *_stagings(large), *_feedings(large), *workers_section.section(large)]
    )


def _flows(large: Large) -> list[str]:
    if not large.flows:
        return []
    sizes = sorted({run.rows for run in large.flows})
    results = [_result(large.flows_of(rows)) for rows in sizes]
    costs = [_cost(large.flows_of(rows)) for rows in sizes]
    if len(sizes) > 1:
        costs.append(_growth(large.flows_of(sizes[0]), large.flows_of(sizes[-1])))
    explained = (
        "`flows/train_flow.py --test-source mnist` with an empty store and default flags but for the epochs and the "
        "augmentation, which is left out: the rows are deformed already. Peak memory is that of the largest process; "
        "what isn't anonymous of it is files that the system may drop, TensorFlow's libraries above all. Seconds are "
        "those of the flow's stages. Training includes the compilation, a few seconds whatever the rows, and the "
        "judging after each epoch."
    )
    return [
        "### The whole flow",
        table(("Rows", "Epochs", "Time", "Test accuracy", "Peak memory", "of it anonymous"), results),
        table(("Rows", "Load and validate", "a row", "Train", "a row and pass", "Evaluate"), costs),
        explained,
    ]


def _result(runs: list[ShardedRun]) -> tuple[str, ...]:
    return (
        f"{runs[0].rows:,}",
        str(runs[0].epochs),
        in_seconds(spread(run.seconds for run in runs)),
        in_percent(spread(run.accuracy for run in runs)),
        in_mebibytes(spread(run.peak_bytes for run in runs)),
        in_mebibytes(spread(run.anonymous_bytes for run in runs if run.anonymous_bytes is not None)),
    )


def _cost(runs: list[ShardedRun]) -> tuple[str, ...]:
    return (
        f"{runs[0].rows:,}",
        in_seconds(spread(run.stages["load"] + run.stages["validate"] for run in runs)),
        _microseconds(map(validating, runs)),
        in_seconds(spread(run.stages["train"] for run in runs)),
        _microseconds(map(training, runs)),
        in_seconds(spread(run.stages["evaluate"] for run in runs)),
    )


def _growth(few: list[ShardedRun], many: list[ShardedRun]) -> tuple[str, ...]:
    def grown(figure: Callable[[ShardedRun], float]) -> str:
        return times(spread(map(figure, many)), spread(map(figure, few)))

    evaluate = grown(lambda run: run.stages["evaluate"])
    return ("the last, to the first", "", grown(validating), "", grown(training), evaluate)


def _stagings(large: Large) -> list[str]:
    rows = []
    for size in sorted({one.rows for one in large.stagings}):
        runs = large.stagings_of(size)
        paces = (
            _rate(one.rows / one.first_seconds for one in runs),
            _rate(one.rows / one.again_seconds for one in runs),
            _rate(one.rows / one.read_seconds for one in runs),
        )
        source = (f"{size:,}", f"{runs[0].shards:,}", f"{runs[0].source_bytes / MEBIBYTE:,.0f} MiB")
        rows.append((*source, *paces, in_mebibytes(spread(one.peak_bytes for one in runs))))
    if not rows:
        return []
    header = (
        "Rows",
        "Shards",
        "Parquet",
        "First time",
        "Again, all staged",
        "`pyarrow.parquet.read_table`",
        "Peak memory",
    )
    explained = (
        "Rows a second of loading, staging and validating, without Prefect, and of PyArrow reading each shard to a "
        "table and doing no more; all three in one process, PyArrow's first."
    )
    return ["### Validation and staging", table(header, rows), explained]


def _feedings(large: Large) -> list[str]:
    if not large.feedings:
        return []
    one = large.feedings[0]
    rows = [
        ("in memory, one block", _pace(large, lambda feeding: feeding.memory_seconds), ""),
        (
            f"from disk, {one.blocks} blocks",
            _pace(large, lambda feeding: feeding.block_seconds),
            in_percent(spread(map(held_pace, large.feedings))),
        ),
    ]
    explained = (
        f"{one.rows:,} rows, mlp, batch 1024, no augmentation, the checkpoint after each block included; epochs by "
        f"turns in one process, medians of {len(one.block_seconds)} each after one to compile."
    )
    return ["### Training", table(("", "Rows a second", "of that in memory"), rows), explained]


def _pace(large: Large, epochs: Callable[[Feeding], list[float]]) -> str:
    return _rate(feeding.rows / seconds for feeding in large.feedings for seconds in epochs(feeding))


def _rate(values: Iterable[float]) -> str:
    return spread_told(spread(values), "{:,.0f}".format, "")


def _microseconds(values: Iterable[float]) -> str:
    return spread_told(spread(values), lambda seconds: f"{seconds * 1e6:.2f}", " µs")
