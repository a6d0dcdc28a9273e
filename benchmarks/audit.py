"""Audit MNIST's labels, with and without flipped ones, as a user does; write `audit.md`.

`python benchmarks/audit.py` takes about two minutes on two idle cores.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from bench import describe_machine, today
from inputs import environment
from numpy.typing import NDArray
from processes import ROOT, run
from timing import load_digits

PAGE = Path(__file__).with_suffix(".md")
WRONG_TEST_ROWS = (947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729)
"""Test rows of MNIST whose labels are wrong by the review of people (Northcutt, Athalye and Mueller 2021)."""
N_FIRST, FLIPPED_SHARE, MIN_PRECISION = 100, 0.01, 0.9
TEMPLATE = """\
# The audit of labels, measured

`python benchmarks/audit.py` writes this page: it runs `flows/audit_flow.py` with its defaults (mlp, 5 folds) on MNIST,
then on MNIST with {n_flipped} of 60,000 training labels changed to another digit at random. The {n_known} test labels
are those that people found to be wrong (Northcutt, Athalye and Mueller 2021). Measured on {today}: {machine}.

| what | goal | measured |
|---|--:|--:|
| wrong test labels among the first {n_first} test suspects | at least 14 of {n_known} | {n_found} of {n_known} |
| the last of them is suspect number | | {last} |
| flipped labels: recall at a precision of {precision:.0%} | at least 95% | {recall:.1%} |
| `confident` suspects: recall of flipped labels | | {confident_recall:.1%} |
| `confident` suspects: precision | | {confident_precision:.1%} |
| the whole audit of 70,000 rows, start of the process to its exit | at most 90 s | {seconds:.0f} s |
| the same with flipped labels | | {flipped_seconds:.0f} s |

MNIST's own wrong training labels count as wrongly found.
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source, is_flipped = flip(work / "flipped.npz")
        suspects, seconds = audit("mnist", "test", work)
        flipped_suspects, flipped_seconds = audit(str(source), "train", work)
    found = suspects["row"].isin(WRONG_TEST_ROWS).to_numpy()
    hits = is_flipped[flipped_suspects["row"]]
    confident = hits[flipped_suspects["confident"]]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    n_recalled = np.cumsum(hits)[precision >= MIN_PRECISION].max(initial=0)
    page = TEMPLATE.format(
        today=today(),
        machine=describe_machine(),
        n_flipped=is_flipped.sum(),
        n_known=len(WRONG_TEST_ROWS),
        n_first=N_FIRST,
        n_found=found[:N_FIRST].sum(),
        last=np.flatnonzero(found)[-1] + 1 if found.sum() == len(WRONG_TEST_ROWS) else "never",
        precision=MIN_PRECISION,
        recall=n_recalled / is_flipped.sum(),
        confident_recall=confident.sum() / is_flipped.sum(),
        confident_precision=confident.mean(),
        seconds=seconds,
        flipped_seconds=flipped_seconds,
    )
    print(page)
    PAGE.write_text(page)


def flip(path: Path) -> tuple[Path, NDArray[np.bool_]]:
    """Write MNIST with changed training labels; return the file, and which training labels were changed."""
    random, digits = np.random.default_rng(0), load_digits()
    rows = random.choice(len(digits.y_train), round(FLIPPED_SHARE * len(digits.y_train)), replace=False)
    labels = digits.y_train.copy()
    labels[rows] = (labels[rows] + random.integers(1, 10, len(rows))) % 10
    np.savez(path, **digits._asdict() | {"y_train": labels})
    return path, labels != digits.y_train


def audit(source: str, part: str, work: Path) -> tuple[pd.DataFrame, float]:
    """Audit a source; return the label suspects of a part, the worst first, and how long it took."""
    with tempfile.TemporaryDirectory(dir=work) as store:
        command = [sys.executable, str(ROOT / "flows" / "audit_flow.py"), "--source", source, "--store", store]
        seconds = run(command, environment(work)).seconds
        (path,) = Path(store).glob("audits/*/suspects.parquet")
        suspects = pd.read_parquet(path)
    chosen = suspects[(suspects["kind"] == "label") & (suspects["part"] == part)]
    return chosen.reset_index(drop=True), seconds


if __name__ == "__main__":
    main()
