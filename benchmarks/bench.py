"""Measure this project beside what one would use instead; write `results.json`, `results.md` and the README's table.

    python benchmarks/bench.py                      the standard suites, 5 rounds
    python benchmarks/bench.py --suite long         suites, or a group of them: standard, long, large
    python benchmarks/bench.py --resume             go on after an interruption, with the rounds that are missing
    python benchmarks/bench.py --quick --only flow  check that a case works; nothing is written
    python benchmarks/bench.py --render             measure nothing, write the pages from results.json

A round runs every case once, one process after the other, so that a slow phase of the machine affects all contenders
alike. Ratios are those within a round. Everything is written after each round; a suite's first new round replaces its
old measurements. `suites.toml` has what is measured, `results.template.md` what is written.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
from inputs import champion_store
from metrics import Measurement
from processes import ProgramError, run
from report import render, write_pages
from results import Results
from suites import GROUPS, HERE, SUITES, Case, Suite
from timing import seconds_of

CPU_INFO = Path("/proc/cpuinfo")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE), "TF_CPP_MIN_LOG_LEVEL": "3"}


def main() -> None:
    """Measure what the flags select; write results and pages after each round, unless only a part is measured."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the running script, too
    results = old = Results.load()
    is_kept = not (options.quick or options.only)
    try:
        for results in measure(options, old):
            if is_kept:
                results.save()
                write_pages(results)
    except ProgramError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; --resume goes on with the round that wasn't finished")
    if options.render:
        write_pages(results)
    print(render(results))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the flags; `suites` are the names of the chosen suites."""
    cases = sorted({name for suite in SUITES.values() for name in suite.cases})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", nargs="+", choices=[*GROUPS, *SUITES], default=["standard"], metavar="SUITE")
    parser.add_argument("--only", nargs="+", choices=cases, metavar="CASE", help="measure these cases; write nothing")
    parser.add_argument("--rounds", type=int, help="how often each case is run (default: as suites.toml says)")
    parser.add_argument("--resume", action="store_true", help="keep the rounds that were measured")
    parser.add_argument("--quick", action="store_true", help="one short run of each case; write nothing")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    parser.add_argument("--data", type=Path, help="keep the large data sets here (default: a temporary folder)")
    options = parser.parse_args(arguments)
    chosen = [] if options.render else options.suite
    options.suites = [name for suite in chosen for name in GROUPS.get(suite, [suite])]
    return options


def measure(options: argparse.Namespace, results: Results) -> Iterator[Results]:
    """Measure the chosen suites round by round; yield the results after each round."""
    suites = [SUITES[name] for name in options.suites]
    results = results if options.resume else results.without(options.suites)
    rounds = {suite.name: suite.rounds if suite.rounds == 1 else options.rounds or suite.rounds for suite in suites}
    rounds |= dict.fromkeys(rounds, 1) if options.quick else {}
    if options.data:
        options.data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.data, prefix="bench-") as work:
        flags = ["--work", work, "--data", str(options.data.resolve() if options.data else work)]
        flags += ["--quick"] if options.quick else []
        for number in range(max(rounds.values(), default=0)):
            pending = [s for s in suites if number < rounds[s.name] and not results.has(s.name, number)]
            # Making the champion also fills the caches and makes Prefect's database.
            first = seconds_of(lambda: champion_store(Path(work))) if pending and not options.quick else 0
            new = [one for suite in pending for one in measure_suite(suite, number, flags, options)]
            if new:
                new[0]["script_seconds"] += first
                results = results.with_measurements(new)
                yield results


def measure_suite(suite: Suite, number: int, flags: list[str], options: argparse.Namespace) -> list[Measurement]:
    """Measure the chosen cases of a suite once; the number of the round is their seed."""
    measurements = []
    for name, case in suite.cases.items():
        if case.run and (not options.only or name in options.only):
            head = {"suite": suite.name, "case": name, "seed": number, "date": today(), "machine": describe_machine()}
            measurements += [head | metrics for metrics in run_case(case, number, flags)]
    return measurements


def run_case(case: Case, seed: int, flags: list[str]) -> list[Measurement]:
    """Run a case's script in a process of its own; return the metrics that it prints and those of its process."""
    script, *own_flags = shlex.split(case.run)
    finished = run([sys.executable, str(HERE / script), "--seed", str(seed), *flags, *own_flags], ENVIRONMENT)
    print(f"round {seed + 1}  {case.run[:80]:80} {finished.seconds:7.1f} s", file=sys.stderr, flush=True)
    printed = json.loads(finished.output.splitlines()[-1])
    if isinstance(printed, dict):
        printed = [{"process_seconds": finished.seconds, "peak_bytes": finished.peak_bytes} | printed]
    return [printed[0] | {"script_seconds": finished.seconds}, *printed[1:]]


def today() -> str:
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
