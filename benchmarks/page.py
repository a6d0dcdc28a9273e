"""The page `results.md`, from what was measured."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import predicting
import programs
from entrants import ENGINE, ENGINE_PEAK, ENTRANTS, LONG
from goals import Goal, goals
from large_section import section
from summary import Spread, added, epoch_operations, epoch_seconds, errors, peak_share, spread, to_target
from tables import MEBIBYTE, in_mebibytes, in_percent, in_seconds, spread_told, table, times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrants import Entrant
    from records import Large, Program, Results, Timed, TrainingJob

TITLES = {
    programs.PLAIN: "plain Keras script, 10 epochs",
    programs.FLOW: "`python flows/train_flow.py`, no server running",
    programs.FLOW_SERVED: "`python flows/train_flow.py`, a server running",
    programs.WITHOUT: "the same work without Prefect",
}
PAGE = Path(__file__).parent / "results.md"


def page(results: Results, long: Results | None, large: Large | None) -> str:
    """Write the whole page."""
    sections = (
        "# Benchmark\n\n`make bench` and `make bench-large` write this page; no figure in it is written by hand.",
        _machine(results),
        f"## Goals\n\n{_goals(goals(results, long, large))}",
        f"## Training\n\n{_trainings(results)}",
        f"## Share of the machine\n\n{_share(results.trainings_of(ENGINE_PEAK))}",
        f"## Whole programs\n\n{_programs(results)}",
        f"## Where a flow's time goes\n\n{_stages(results)}",
        f"## Reading and validating\n\n{_data(results.data)}",
        f"## Predicting\n\n{_predictings(results)}",
        f"## Long runs\n\n{_long(long)}",
        f"## Larger than memory\n\n{section(large)}",
    )
    return "\n\n".join(sections) + "\n"


def _machine(results: Results) -> str:
    libraries: dict[str, str] = {}
    for training in results.trainings:
        libraries |= training.libraries
    seeds = {training.seed for training in results.trainings} | {program.seed for program in results.programs}
    machine = results.machine
    return (
        f"Measured on {results.date}: {machine['processor']}, {machine['cores']} cores, {machine['memory']}, "
        f"{machine['system']}, Python {machine['Python']}; "
        f"{', '.join(f'{name} {version}' for name, version in sorted(libraries.items()))}. "
        f"Medians over {len(seeds)} seeds, with their range; every run in a process of its own, one after another, "
        "seed by seed."
    )


def _goals(reached: Sequence[Goal]) -> str:
    rows = [
        (goal.what, f"{goal.sense} {_quantity(goal.bound, goal)}", _quantity(goal.measured, goal), goal.verdict)
        for goal in reached
    ]
    return table(("Goal", "Bound", "Measured", ""), rows)


def _quantity(value: float | None, goal: Goal) -> str:
    if value is None:
        return "—"
    return {
        "×": f"{value:.2f} ×",
        "%": f"{value:.2%}".replace("%", " %"),
        "s": f"{value:.1f} s",
        "MiB": f"{value:,.0f} MiB",
        "rows a second": f"{value:,.0f} rows a second",
    }[goal.unit]


def _trainings(results: Results) -> str:
    header = ("", "To 97.56 %", "to the engine's", "An epoch", "to the engine's", "Final accuracy", "Peak memory")
    engine = results.trainings_of(ENGINE)
    rows = [
        _training_row(entrant, results.trainings_of(entrant.name), engine)
        for entrant in ENTRANTS
        if results.trainings_of(entrant.name)
    ]
    skipped = [
        f"Not measured: {entrant.title}; {results.skipped[entrant.name]}."
        for entrant in ENTRANTS
        if entrant.name in results.skipped
    ]
    explained = (
        "784-128-64-10 on all 60,000 training rows of the embedded MNIST. Seconds of training alone: imports, the "
        "reading of the data and the judging after each epoch are left out, the building of the network and every "
        "compilation are in the first epoch. An epoch is the median of those after the first; its rows go in batches "
        "of different sizes. Peak memory is the process's, judging after each epoch included. Where a "
        "goal compares with a run that never reached 97.56 %, that counts as the time it was given, less than it needs."
    )
    return "\n\n".join([table(header, rows), *skipped, explained])


def _training_row(entrant: Entrant, trainings: Sequence[TrainingJob], engine: Sequence[TrainingJob]) -> tuple[str, ...]:
    target, epochs = to_target(trainings), spread(map(epoch_seconds, trainings))
    return (
        entrant.title,
        _reached(target, trainings),
        times(target, to_target(engine)),
        in_seconds(epochs),
        times(epochs, spread(map(epoch_seconds, engine))),
        in_percent(spread(training.final_accuracy for training in trainings)),
        in_mebibytes(spread(training.peak_bytes for training in trainings)),
    )


def _reached(target: Spread | None, trainings: Sequence[TrainingJob]) -> str:
    missing = sum(training.seconds_to_target is None for training in trainings)
    if target is None or math.isinf(target.median):
        return f"not within {len(trainings[0].epoch_seconds)} epochs"
    if not missing:
        return in_seconds(target)
    return f"{target.median:.2f} s (from {target.low:.2f}; {missing} of {len(trainings)} never)"


def _share(trainings: Sequence[TrainingJob]) -> str:
    peak = spread(training.matmul_flops for training in trainings if training.matmul_flops is not None)
    share = spread(known for known in map(peak_share, trainings) if known is not None)
    if peak is None or share is None:
        return "Not measured."
    epoch = spread(map(epoch_seconds, trainings))
    rows = [
        (
            "Matrix-product peak, float32, 2048 × 2048",
            spread_told(peak, lambda value: f"{value / 1e9:.0f}", " GFLOP/s"),
        ),
        (f"An epoch's {epoch_operations() / 1e9:.1f} GFLOP, batch 1024, no augmentation", in_seconds(epoch)),
        ("Share of the peak that the engine holds", in_percent(share)),
    ]
    explained = (
        "Counted are the products of the three layers, forward and backward; biases, activations, the optimiser and "
        "the shuffling cost time and count as nothing. The peak is the best of several products in the same process."
    )
    return f"{table(('', ''), rows)}\n\n{explained}"


def _programs(results: Results) -> str:
    header = ("From the process's start to its exit", "Time", "to the plain script's", "Test errors", "Peak memory")
    plain = spread(run.seconds for run in results.programs_of(programs.PLAIN))
    rows = []
    for name, title in TITLES.items():
        runs = results.programs_of(name)
        if runs:
            seconds = spread(run.seconds for run in runs)
            mistakes = spread_told(spread(map(errors, runs)), "{:.0f}".format, "")
            memory = in_mebibytes(spread(run.peak_bytes for run in runs))
            rows.append((title, in_seconds(seconds), times(seconds, plain), mistakes, memory))
    if not rows:
        return "Not measured."
    trees = [f"{TITLES[name]} {peak / MEBIBYTE:.0f} MiB" for name, peak in results.tree_peaks.items()]
    explained = (
        "Warm: imports and database files were there from an earlier run. Peak memory is that of the largest process; "
        f"all processes together, in a run of its own that isn't timed: {', '.join(trees)}."
    )
    return f"{table(header, rows)}\n\n{explained}"


def _stages(results: Results) -> str:
    header = ("", "Start-up", "Stages", "Between stages", "Publishing and exit", "Orchestration adds")
    without = results.programs_of(programs.WITHOUT)
    rows = []
    for name in (programs.FLOW, programs.FLOW_SERVED):
        runs = results.programs_of(name)
        if runs:
            parts = zip(*map(_parts, runs), strict=True)
            rows.append((TITLES[name], *(in_seconds(spread(part)) for part in parts), in_seconds(added(runs, without))))
    if not rows:
        return "Not measured."
    explained = (
        "Start-up is what the process does before the flow's first line, the import of TensorFlow included. What "
        "orchestration adds is the time beyond that of the same work without Prefect, of the same seed."
    )
    return f"{table(header, rows)}\n\n{explained}"


def _parts(run: Program) -> tuple[float, float, float, float]:
    start_up, between = run.stages["start-up"], run.stages["orchestration"]
    stages = sum(run.stages.values()) - start_up - between
    return start_up, stages, between, run.seconds - start_up - stages - between


def _data(timed: Sequence[Timed]) -> str:
    if not timed:
        return "Not measured."
    rows = [
        (one.what, f"{one.rows:,}", spread_told(spread(one.seconds), "{:.3f}".format, " s"), _rate(one))
        for one in timed
    ]
    told = [
        f"Validation took {one.peak_bytes / MEBIBYTE:.0f} MiB beside the frames' {one.frame_bytes / MEBIBYTE:.0f} MiB."
        for one in timed
        if one.peak_bytes is not None and one.frame_bytes is not None
    ]
    explained = "Medians and ranges of five repetitions in one process, after one to warm up; the files are cached."
    return "\n\n".join([table(("", "Rows", "Time", "Rows a second"), rows), " ".join([explained, *told])])


def _predictings(results: Results) -> str:
    own = spread(one.seconds for one in results.predictings_of(predicting.ENGINE))
    rows = []
    for name, title in predicting.TITLES.items():
        runs = results.predictings_of(name)
        if runs:
            seconds = spread(one.seconds for one in runs)
            rows.append(
                (
                    title,
                    f"{runs[0].rows:,}",
                    in_seconds(seconds),
                    spread_told(spread(one.rows / one.seconds for one in runs), "{:,.0f}".format, ""),
                    times(seconds, own) if runs[0].rows == predicting.ROWS else "—",
                    in_seconds(spread(one.whole_seconds for one in runs)),
                    in_mebibytes(spread(one.peak_bytes for one in runs)),
                )
            )
    if not rows:
        return "Not measured."
    header = ("", "Images", "Time", "Images a second", "to the project's", "Whole process", "Peak memory")
    explained = (
        "By the champion of a default run, from an `.npz` file to a CSV file: time from the loading of images and "
        "model to the written file, imports left out; the whole process has them, not Prefect. The project also "
        "verifies the version's files, checks every image, compares it with the training images, and counts."
    )
    return f"{table(header, rows)}\n\n{explained}"


def _rate(one: Timed) -> str:
    return f"{one.rows / median(one.seconds):,.0f}"


def _long(long: Results | None) -> str:
    if long is None:
        return "Not measured; `python benchmarks/bench.py --long` does it."
    rows = [
        (
            entrant.title,
            in_percent(spread(training.final_accuracy for training in trainings)),
            spread_told(spread(sum(training.epoch_seconds) for training in trainings), "{:.0f}".format, " s"),
            in_mebibytes(spread(training.peak_bytes for training in trainings)),
            str(len(trainings)),
        )
        for entrant in LONG
        if (trainings := long.trainings_of(entrant.name))
    ]
    skipped = [
        f"Not measured: {entrant.title}; {long.skipped[entrant.name]}."
        for entrant in LONG
        if entrant.name in long.skipped
    ]
    header = ("", "Test accuracy", "Training", "Peak memory", "Seeds")
    told = f"Measured on {long.date}: {long.machine['processor']}, {long.machine['cores']} cores."
    return "\n\n".join([told, *([table(header, rows)] if rows else []), *skipped])
