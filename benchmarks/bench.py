"""Measure this project beside what one would use instead, and render `results.md`.

    python benchmarks/bench.py                      the standard suites: half an hour on two idle cores
    python benchmarks/bench.py --suite long         one suite or a group of them: standard, long, large
    python benchmarks/bench.py --quick --only flow  check that a case works; nothing is written
    python benchmarks/bench.py --render             render results.md from results.json

New measurements of a suite replace all its old ones. `suites.py` has what is measured, `report.py` and
`results.template.md` what is rendered.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from processes import ProgramError, run
from report import PAGE, render
from results import Results
from suites import SUITES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from results import Measurement
    from suites import Case, Suite

HERE = Path(__file__).parent
CPU_INFO = Path("/proc/cpuinfo")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE), "TF_CPP_MIN_LOG_LEVEL": "3"}
GROUPS = {group: [name for name, suite in SUITES.items() if suite.group == group] for group in ("standard", "large")}


def main() -> None:
    """Measure what the flags select, then render the page; write both unless only a part was measured."""
    options = parse()
    results = Results.load()
    writes = not (options.quick or options.only)
    try:
        if not options.render:
            for new in measure(options):
                results = results.replaced(options.suites, new)
                if writes:
                    results.save()
    except ProgramError as error:
        sys.exit(f"error: {error}")
    page = render(results)
    print(page)
    if writes:
        PAGE.write_text(page)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the flags; `suites` are the names of the chosen suites."""
    names = sorted({case.name for suite in SUITES.values() for case in suite.cases if case.script})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", nargs="+", choices=[*GROUPS, *SUITES], default=["standard"], metavar="SUITE")
    parser.add_argument("--only", nargs="+", choices=names, metavar="CASE", help="measure these cases; write nothing")
    parser.add_argument("--seeds", type=int, help="runs of each case (default: as many as its suite says)")
    parser.add_argument("--quick", action="store_true", help="one short run of each case; write nothing")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    parser.add_argument("--data", type=Path, help="keep the large data sets here (default: a temporary folder)")
    parser.add_argument("--torch-python", default=sys.executable, help="an interpreter that has PyTorch")
    options = parser.parse_args(arguments)
    options.suites = [name for chosen in options.suite for name in GROUPS.get(chosen, [chosen])]
    options.seeds = 1 if options.quick else options.seeds
    return options


def measure(options: argparse.Namespace) -> Iterator[list[Measurement]]:
    """Measure all cases with one seed, then with the next, so that a drift of the machine affects all alike.

    Yields all measurements so far after each seed, so that a long run can be interrupted.
    """
    suites = [SUITES[name] for name in options.suites]
    if options.data:
        options.data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.data, prefix="bench-") as folder:
        places = ("--work", folder, "--data", str(options.data.resolve() if options.data else folder))
        for suite in suites:
            if suite.warm_up and not options.quick:
                for case in selected(suite, options):
                    run_case(suite, case, 0, (*places, "--quick"), options.torch_python)
        measurements: list[Measurement] = []
        flags = (*places, "--quick") if options.quick else places
        for seed in range(max(options.seeds or suite.seeds for suite in suites)):
            for suite in suites:
                if seed < (options.seeds or suite.seeds):
                    for case in selected(suite, options):
                        measurements += run_case(suite, case, seed, flags, options.torch_python)
            yield measurements


def selected(suite: Suite, options: argparse.Namespace) -> list[Case]:
    """Return the cases of a suite that can be run and were asked for."""
    chosen = [case for case in suite.cases if case.script and (not options.only or case.name in options.only)]
    return [case for case in chosen if not case.needs or can_import(case.needs, options.torch_python)]


def run_case(suite: Suite, case: Case, seed: int, flags: Sequence[str], torch_python: str) -> list[Measurement]:
    """Run a case's script in a process of its own and return its measurements."""
    python = torch_python if case.needs else sys.executable
    command = [python, str(HERE / str(case.script)), "--seed", str(seed), *flags, *case.flags]
    finished = run(command, ENVIRONMENT)
    print(f"seed {seed}  {suite.name:10} {case.name:20} {finished.seconds:7.1f} s", file=sys.stderr, flush=True)
    printed = json.loads(finished.output.splitlines()[-1])
    head = {"suite": suite.name, "case": case.name, "seed": seed, "date": today(), "machine": describe_machine()}
    if isinstance(printed, list):
        return [head | metrics for metrics in printed]
    outside = {"process_seconds": finished.seconds, "peak_bytes": finished.peak_bytes}
    return [head | outside | case.labels | printed]


@cache
def can_import(module: str, python: str) -> bool:
    """Check whether an interpreter has a module; say so if not."""
    found = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0
    if not found:
        print(f"skipped what needs {module}, which isn't installed", file=sys.stderr)
    return found


def today() -> str:
    """Return the date in UTC."""
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def describe_machine() -> str:
    """Describe processor, cores, memory, system and Python, without anything that names this one machine."""
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.processor() or platform.machine()
    memory = f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{processor}, {os.cpu_count()} cores, {memory}, {system}"


if __name__ == "__main__":
    main()
