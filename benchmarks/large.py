"""Measure what the project does with data larger than memory, and write its section of `results.md`.

`python benchmarks/large.py`: the whole flow, validation and staging, training in blocks and by Ray's workers, on a
million rows and on as many as MNIST8M has; `large.json` keeps the figures. The rows are made first, if they aren't
there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import machine
from bench import QUIET, begun, tell
from entrants import PLAIN_EPOCHS, QUICK_EPOCHS, SCRIPTS
from goals import PASSES_ACCURACY
from page import PAGE, page
from processes import FailedError, run
from programs import Programs
from records import (
    LARGE_RESULTS,
    LONG_RESULTS,
    RESULTS,
    Feeding,
    Large,
    Portions,
    ShardCache,
    Shared,
    read,
    read_large,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from processes import Finished

FLOW, STAGING, TRAINING, WORKERS = PARTS = ("flow", "staging", "training", "workers")
QUICK_ROWS = (20_000, 60_000)
FED_ROWS = 400_000
CASES: dict[str, tuple[str, dict[str, object], int]] = {
    "mlp, no augmentation": ("plain", PLAIN_EPOCHS | {"epochs": 4}, FED_ROWS),
    "mlp, `fast`": ("fast", {"epochs": 4, "validation_fraction": 0}, FED_ROWS),
    "cnn, `fast`": ("fast", {"epochs": 4, "validation_fraction": 0, "network": "cnn"}, 40_000),
}
"""What workers share: recipe, fields of it that differ, rows."""
MAKE = Path(__file__).with_name("make_large.py")


def main() -> None:
    """Measure what the flags ask for, print the page; keep figures and page unless they were quick ones."""
    options = parsed()
    large = read_large(LARGE_RESULTS)
    try:
        if not options.render:
            large = measured(options, large)
    except FailedError as error:
        sys.exit(f"error: {error}")
    text = page(read(RESULTS) or begun(), read(LONG_RESULTS), large)
    print(text)
    if not options.quick:
        PAGE.write_text(text)


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", help=f"sizes (default {' '.join(map(str, PASSES_ACCURACY))})")
    parser.add_argument("--data", type=Path, help="keeps the rows between calls (default: a temporary folder)")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each (default 1)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[], help="measure these; keep what else there is")
    parser.add_argument("--quick", action="store_true", help="few rows, hardly any epochs; nothing is written")
    parser.add_argument("--render", action="store_true", help="measure nothing; write the page from what was kept")
    options = parser.parse_args(arguments)
    options.rows = sorted(set(options.rows or (QUICK_ROWS if options.quick else PASSES_ACCURACY)))
    return options


def measured(options: argparse.Namespace, kept: Large | None) -> Large:
    """Measure the parts: once all, then again, so that a drift hits all alike."""
    with tempfile.TemporaryDirectory(prefix="bench-large-") as temporary:
        data = (options.data or Path(temporary)).resolve()
        sets = {rows: shards(data, rows) for rows in options.rows}
        with tempfile.TemporaryDirectory(dir=data, prefix="work-") as work:
            parts = Parts(sets, Path(work), quick=options.quick)
            large = started(options, kept)
            for seed in range(options.repeats):
                for _ in parts.measured(options.only or PARTS, seed, large):
                    if not options.quick:
                        write(LARGE_RESULTS, large)
    return large


def started(options: argparse.Namespace, kept: Large | None) -> Large:
    """Begin results of today, with what is kept of what isn't measured anew where only some parts are."""
    large = Large(machine.today(), machine.describe())
    if not (kept and options.only and not options.quick):
        return large
    large.flows = [one for one in kept.flows if FLOW not in options.only or one.rows not in options.rows]
    large.stagings = [one for one in kept.stagings if STAGING not in options.only or one.rows not in options.rows]
    large.feedings = [one for one in kept.feedings if TRAINING not in options.only]
    large.shared = [one for one in kept.shared if WORKERS not in options.only]
    large.portions = [one for one in kept.portions if WORKERS not in options.only]
    return large


def shards(data: Path, rows: int) -> Path:
    """Give the folder with a set of so many rows; make it unless it is there whole."""
    folder = data / f"digits-{rows}"
    if _rows_in(folder) != rows:
        finished = run([sys.executable, str(MAKE), "--rows", str(rows), "--out", str(folder)], os.environ)
        tell(0, f"made {rows:,}", finished.seconds)
    return folder


def _rows_in(folder: Path) -> int:
    """Count the rows of a folder's shards, each of which is there whole or not at all."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(shard).num_rows for shard in folder.glob("*.parquet"))


class Parts:
    """The parts of the measurement, on sets of shards by their rows."""

    def __init__(self, sets: dict[int, Path], work: Path, *, quick: bool) -> None:
        """Keep stores and staged rows in `work` while they are needed: gigabytes."""
        self._sets, self._work, self._quick = sets, work, quick
        self._programs = Programs(work, quick=True)

    def measured(self, parts: Iterable[str], seed: int, large: Large) -> Iterator[None]:
        """Measure parts once and add what was measured to the results, one after another."""
        if FLOW in parts and seed == 0:
            self._programs.flow(0)  # on MNIST: makes Prefect's database, which no measured run is to do
        for rows, folder in self._sets.items():
            if FLOW in parts:
                epochs = PASSES_ACCURACY.get(rows, (1,))[0]
                large.flows.append(self._programs.sharded(folder, rows, epochs, seed))
                tell(seed, f"{FLOW} {rows:,}", large.flows[-1].seconds)
                yield
            if STAGING in parts:
                large.stagings.append(self._staging(folder, rows, seed))
                yield
        if TRAINING in parts:
            large.feedings.append(self._feeding(seed))
            yield
        if WORKERS in parts:
            for case in CASES:
                large.shared += self._shared(case, seed)
                large.portions.append(self._portions(case, seed))
                yield

    def _staging(self, folder: Path, rows: int, seed: int) -> ShardCache:
        with tempfile.TemporaryDirectory(dir=self._work) as work:
            command = [sys.executable, str(SCRIPTS / "staging.py"), "--shards", str(folder), "--work", work]
            finished = run(command, os.environ | QUIET)
        tell(seed, f"{STAGING} {rows:,}", finished.seconds)
        return ShardCache(rows=rows, seed=seed, peak_bytes=finished.peak_bytes, **_told(finished))

    def _feeding(self, seed: int) -> Feeding:
        """Measure the training in blocks."""
        recipe = PLAIN_EPOCHS | ({"epochs": QUICK_EPOCHS} if self._quick else {}) | {"seed": seed}
        told = self._on_smallest("blocks.py", FED_ROWS, ["--overrides", json.dumps(recipe)], TRAINING, seed)
        return Feeding(seed=seed, **told)

    def _shared(self, case: str, seed: int) -> Iterator[Shared]:
        """Measure a case by this process alone and by workers."""
        *flags, rows = self._flags(case, seed)
        told = self._on_smallest("workers.py", rows, flags, f"{WORKERS}, {case}", seed)
        for workers, one in told.pop("by_workers").items():
            yield Shared(case=case, seed=seed, workers=int(workers), **told, **one)

    def _portions(self, case: str, seed: int) -> Portions:
        *flags, _ = self._flags(case, seed)
        finished = run([sys.executable, str(SCRIPTS / "portions.py"), *flags], os.environ | QUIET)
        tell(seed, f"portions, {case}", finished.seconds)
        return Portions(case=case, seed=seed, **_told(finished))

    def _flags(self, case: str, seed: int) -> tuple[str, str, str, str, int]:
        """Give the flags of a case's recipe, and its rows."""
        recipe, overrides, rows = CASES[case]
        differing = overrides | ({"epochs": QUICK_EPOCHS} if self._quick else {}) | {"seed": seed}
        return "--recipe", recipe, "--overrides", json.dumps(differing), rows

    def _on_smallest(self, script: str, rows: int, flags: Sequence[str], what: str, seed: int) -> dict[str, Any]:
        """Run a script on so many rows of the smallest set, which is staged soonest; give what it tells."""
        least, folder = min(self._sets.items())
        with tempfile.TemporaryDirectory(dir=self._work) as work:
            places = ["--shards", str(folder), "--work", work, "--rows", str(min(rows, least))]
            finished = run([sys.executable, str(SCRIPTS / script), *places, *flags], os.environ | QUIET)
        tell(seed, what, finished.seconds)
        return _told(finished)


def _told(finished: Finished) -> dict[str, Any]:
    """Read what a script printed last."""
    told: dict[str, Any] = json.loads(finished.output.splitlines()[-1])
    return told


if __name__ == "__main__":
    main()
