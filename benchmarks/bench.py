"""Measure the engine and what a user would pick instead, and write `results.md`.

Without flags it takes about half an hour on two cores that do nothing else, with `--long` more than an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import machine
from entrants import ENTRANTS, LONG, PYTORCH
from page import PAGE, page
from predicting import Predictings
from processes import FailedError, run
from programs import FLOW, FLOW_SERVED, PLAIN, WITHOUT, Programs
from records import LARGE_RESULTS, LONG_RESULTS, RESULTS, Results, Timed, TrainingJob, read, read_large, write

from schemas.recipe import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from entrants import Entrant

HERE = Path(__file__).parent
PROGRAMS = (PLAIN, FLOW, FLOW_SERVED, WITHOUT)
PREDICT = "predict"
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}


def main() -> None:
    """Measure what the flags ask for and print the page; keep figures and page unless only a part was measured."""
    options = parsed()
    results, long = read(RESULTS), read(LONG_RESULTS)
    try:
        if options.long:
            long = measured_long(options)
        elif options.data:
            results = results or begun()
            results.data = timed_data()
            keep(RESULTS, results, options)
        elif not options.render:
            results = measured(options)
    except FailedError as error:
        sys.exit(f"error: {error}")
    text = page(results or begun(), long, read_large(LARGE_RESULTS))
    print(text)
    if not options.quick and not options.only:
        PAGE.write_text(text)


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    names = [*(entrant.name for entrant in (*ENTRANTS, *LONG)), *PROGRAMS, PREDICT]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="runs of each (default 5)")
    parser.add_argument("--only", nargs="+", choices=names, default=[], help="measure these; nothing is written")
    parser.add_argument("--quick", action="store_true", help="one seed, hardly any epochs; nothing is written")
    parser.add_argument("--long", action="store_true", help="measure the long runs in place of the others")
    parser.add_argument("--data", action="store_true", help="measure readers and checks alone; keep what else there is")
    parser.add_argument("--render", action="store_true", help="measure nothing; write the page from what was kept")
    parser.add_argument("--torch-python", default=sys.executable, help="an interpreter that has PyTorch")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seeds = 1
    return options


def begun() -> Results:
    """Begin results of today on this machine."""
    return Results(date=machine.today(), machine=machine.describe())


def measured(options: argparse.Namespace) -> Results:
    """Measure contenders and whole programs: one seed of all, then the next, so that a drift hits all alike."""
    results = begun()
    entrants = chosen(ENTRANTS, options.only)
    if any(entrant.name == PYTORCH for entrant in entrants) and not can_import_torch(options.torch_python):
        results.skipped[PYTORCH] = "PyTorch isn't installed"
        entrants = [entrant for entrant in entrants if entrant.name != PYTORCH]
    wanted = [name for name in PROGRAMS if not options.only or name in options.only]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        programs = Programs(Path(folder), quick=options.quick)
        if wanted:
            programs.warm_up()
        if {PLAIN, FLOW} <= set(wanted):
            results.tree_peaks = programs.tree_peaks()
        if not options.only:
            results.data = timed_data()
        predicting = predictings(Path(folder), programs) if not options.only or PREDICT in options.only else None
        for seed in range(options.seeds):
            for entrant in entrants:
                results.trainings.append(trained(entrant, seed, options))
            for name in wanted:
                program = programs.measures()[name](seed)
                results.programs.append(program)
                tell(seed, name, program.seconds)
            for one in predicting.measured(seed) if predicting else ():
                results.predictings.append(one)
                tell(seed, one.contender, one.whole_seconds)
            keep(RESULTS, results, options)
    return results


def predictings(folder: Path, programs: Programs) -> Predictings:
    """Make a champion by a program without Prefect, and images to ask it about."""
    programs.without_prefect(0)
    return Predictings(folder, programs.store())


def measured_long(options: argparse.Namespace) -> Results:
    """Measure the accuracies that take minutes a run."""
    results = begun()
    for entrant in chosen(LONG, options.only):
        if entrant.recipe not in PRESETS:
            results.skipped[entrant.name] = "there is no such recipe"
    for seed in range(options.seeds):
        for entrant in chosen(LONG, options.only):
            if entrant.name not in results.skipped:
                results.trainings.append(trained(entrant, seed, options))
        keep(LONG_RESULTS, results, options)
    return results


def timed_data() -> list[Timed]:
    """Time readers and checks."""
    finished = run([sys.executable, str(HERE / "data_checks.py")], os.environ | QUIET)
    tell(0, "readers and checks", finished.seconds)
    return [Timed(**timed) for timed in json.loads(finished.output.splitlines()[-1])]


def keep(path: Path, results: Results, options: argparse.Namespace) -> None:
    """Keep what the seeds so far gave, unless only a part is measured: a long benchmark may be interrupted."""
    if not options.quick and not options.only:
        write(path, results)


def chosen(entrants: Iterable[Entrant], only: Sequence[str]) -> list[Entrant]:
    """Give the contenders that were asked for: all, if none was named."""
    return [entrant for entrant in entrants if not only or entrant.name in only]


def trained(entrant: Entrant, seed: int, options: argparse.Namespace) -> TrainingJob:
    """Train a contender in a process of its own."""
    python = options.torch_python if entrant.name == PYTORCH else sys.executable
    finished = run(entrant.command(python, seed, quick=options.quick), os.environ | QUIET)
    tell(seed, entrant.name, finished.seconds)
    return TrainingJob(contender=entrant.name, seed=seed, **json.loads(finished.output.splitlines()[-1]))


def can_import_torch(python: str) -> bool:
    """Tell whether an interpreter has PyTorch."""
    return subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode == 0


def tell(seed: int, name: str, seconds: float) -> None:
    """Say that a run is done."""
    print(f"seed {seed}  {name:20} {seconds:7.1f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
