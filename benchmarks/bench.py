"""Measure this project beside what one would use instead, and render `results.md`.

    python benchmarks/bench.py                      the standard suites: half an hour on two idle cores
    python benchmarks/bench.py --suite long         suites, or a group of them: standard, long, large
    python benchmarks/bench.py --quick --only flow  check that a case works; nothing is written
    python benchmarks/bench.py --render             render results.md from results.json

New measurements of a suite replace all its old ones. `suites.toml` has what is measured, `results.template.md` what is
rendered.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import psutil
from metrics import Measurement
from processes import ProgramError, run
from report import PAGE, render
from results import Results
from suites import HERE, SUITES, Case, Suite

CPU_INFO = Path("/proc/cpuinfo")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE), "TF_CPP_MIN_LOG_LEVEL": "3"}
GROUPS = {group: [name for name, suite in SUITES.items() if suite.group == group] for group in ("standard", "large")}


def main() -> None:
    """Measure what the flags select, then render the page; write both unless only a part was measured."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the running script, too
    results = Results.load()
    is_kept = not (options.quick or options.only)
    try:
        for new in measure(options):
            results = results.replaced(options.suites, new)
            if is_kept:
                results.save()
    except ProgramError as error:
        sys.exit(f"error: {error}")
    page = render(results)
    print(page)
    if is_kept:
        PAGE.write_text(page)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the flags; `suites` are the names of the chosen suites."""
    cases = sorted({name for suite in SUITES.values() for name in suite.cases})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", nargs="+", choices=[*GROUPS, *SUITES], default=["standard"], metavar="SUITE")
    parser.add_argument("--only", nargs="+", choices=cases, metavar="CASE", help="measure these cases; write nothing")
    parser.add_argument("--seeds", type=int, help="runs of each case (default: as suites.toml says)")
    parser.add_argument("--quick", action="store_true", help="one short run of each case; write nothing")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    parser.add_argument("--data", type=Path, help="keep the large data sets here (default: a temporary folder)")
    parser.add_argument("--torch-python", default=sys.executable, help="an interpreter that has PyTorch")
    options = parser.parse_args(arguments)
    chosen = [] if options.render else options.suite
    options.suites = [name for suite in chosen for name in GROUPS.get(suite, [suite])]
    return options


def measure(options: argparse.Namespace) -> Iterator[list[Measurement]]:
    """Measure all cases with one seed, then with the next, so that a drift of the machine affects all alike.

    Yields all measurements so far after each seed, so that a long run can be interrupted.
    """
    suites = [SUITES[name] for name in options.suites]
    n_seeds = {suite.name: 1 if options.quick else options.seeds or suite.seeds for suite in suites}
    if options.data:
        options.data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.data, prefix="bench-") as work:
        flags = ["--work", work, "--data", str(options.data.resolve() if options.data else work)]
        for suite in suites:
            if suite.warm_up and not options.quick:
                measure_suite(suite, 0, [*flags, "--quick"], options)
        flags += ["--quick"] if options.quick else []
        measurements: list[Measurement] = []
        for seed in range(max(n_seeds.values(), default=0)):
            for suite in suites:
                if seed < n_seeds[suite.name]:
                    measurements += measure_suite(suite, seed, flags, options)
            yield measurements


def measure_suite(suite: Suite, seed: int, flags: list[str], options: argparse.Namespace) -> list[Measurement]:
    """Measure the chosen cases of a suite once."""
    measurements = []
    for name, case in suite.cases.items():
        if case.run and (not options.only or name in options.only):
            python = options.torch_python if case.needs else sys.executable
            if not case.needs or can_import(case.needs, python):
                head = {"suite": suite.name, "case": name, "seed": seed, "date": today(), "machine": describe_machine()}
                measurements += [head | metrics for metrics in run_case(case, seed, flags, python)]
    return measurements


def run_case(case: Case, seed: int, flags: list[str], python: str) -> list[Measurement]:
    """Run a case's script in a process of its own; return the metrics that it prints and those of its process."""
    finished = run(case.command(python, "--seed", str(seed), *flags), ENVIRONMENT)
    print(f"seed {seed}  {case.run[:80]:80} {finished.seconds:7.1f} s", file=sys.stderr, flush=True)
    printed = json.loads(finished.output.splitlines()[-1])
    if isinstance(printed, list):
        return printed
    return [{"process_seconds": finished.seconds, "peak_bytes": finished.peak_bytes} | printed]


@cache
def can_import(module: str, python: str) -> bool:
    """Check whether an interpreter has a module; say so if not."""
    found = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0
    if not found:
        print(f"skipped: cases that need {module}, which isn't installed", file=sys.stderr)
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
    return f"{processor}, {os.cpu_count()} cores, {memory}, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
