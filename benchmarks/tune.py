"""Tune the default recipe on 5,000 rows, five times, as a user does; write `tune.md`.

`python benchmarks/tune.py` takes about an hour on two idle cores. RECIPES.md has the result of one study.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from bench import describe_machine, today
from inputs import environment
from processes import ROOT, run
from timing import load_digits

PAGE = Path(__file__).with_suffix(".md")
N_ROWS, N_TRIALS, N_STUDIES = 5_000, 30, 5
TEMPLATE = """\
# The search for a recipe, measured

`python benchmarks/tune.py` writes this page: it runs `flows/tune_flow.py --trials {n_trials}` with its defaults on
{n_rows:,} rows of MNIST's training part, others for each study. The test part is MNIST's. The goals are at most 10
minutes, and a gain of at least 0.3 points in the median study, or a run that says there is none. Measured on {today}:
{machine}.

| study | start of the process to its exit | result |
|--:|--:|---|
{rows}
| median | {minutes:.1f} min | |
"""


def main() -> None:
    rows, minutes = [], []
    for number in range(N_STUDIES):
        with tempfile.TemporaryDirectory() as work:
            seconds, result = study(Path(work), number)
        minutes.append(seconds / 60)
        rows.append(f"| {number} | {minutes[-1]:.1f} min | {result} |")
        print(rows[-1], flush=True)
    page = TEMPLATE.format(
        n_trials=N_TRIALS,
        n_rows=N_ROWS,
        today=today(),
        machine=describe_machine(),
        rows="\n".join(rows),
        minutes=median(minutes),
    )
    PAGE.write_text(page)


def study(work: Path, seed: int) -> tuple[float, str]:
    """Tune on rows drawn by the seed; return the seconds, and the line that the flow ends with."""
    digits, source = load_digits(), work / "own.npz"
    rows = np.random.default_rng(seed).choice(len(digits.y_train), N_ROWS, replace=False)
    drawn = {"x_train": digits.x_train[rows], "y_train": digits.y_train[rows]}
    np.savez(source, **digits._asdict() | drawn)
    flags = ["--source", str(source), "--trials", str(N_TRIALS)]
    output = ["--output", str(work / "tuned.toml"), "--store", str(work / "store")]
    ended = run([sys.executable, str(ROOT / "flows" / "tune_flow.py"), *flags, *output], environment(work))
    (line,) = [line for line in ended.output.splitlines() if line.startswith(f"{N_TRIALS} trials on ")]
    return ended.seconds, line.replace(str(work) + "/", "")


if __name__ == "__main__":
    main()
