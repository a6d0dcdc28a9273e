"""Simulate a hundred retrainings: how often luck promotes a candidate that is no better, by the gate and by `>=`.

Every test row has a chance to be misclassified by a fresh training, most of them hardly any, a few nearly always: drawn
from a beta distribution whose mean and spread give 94 errors in 10,000 and two trainings that differ on about 100 rows,
as two runs of the default recipe do. The chances of a better or worse candidate are moved on the logistic scale.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.gate import DEFAULT_GATE
from tasks.scoring.gate import Candidate, Champion, decide

INTRODUCTION = """\
# The gate, simulated

`python benchmarks/gate_simulation.py` writes this page. A hundred retrainings on one test set of 10,000 rows, 99.06 %
of them classified correctly, any two trainings differing on about a hundred: how often a candidate becomes the champion
by `>=`, as in most pipelines, and by the gate with its defaults; and how much better than the first champion the last
one truly is."""
PAGE = Path(__file__).with_name("gate.md")
ROWS, ERROR, DIFFERING = 10_000, 0.0094, 100
LABELS = np.arange(ROWS, dtype=np.uint8) % 10
RETRAININGS = 100


class Outcome(NamedTuple):
    """The number of promotions in a run, and by how many points the last champion is truly better than the first."""

    promotions: int
    gain: float


def main() -> None:
    """Print the table and write it to `gate.md`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40, help="runs of a hundred retrainings each (default 40)")
    text = f"{INTRODUCTION}\n\n{table(parser.parse_args().runs)}\n"
    print(text)
    PAGE.write_text(text)


def table(runs: int) -> str:
    """Simulate, and return a Markdown table."""
    lines = [
        f"| {RETRAININGS} retrainings, {runs} times | promoted, `>=` | by the gate | gain, `>=` | by the gate |",
        "|---|---|---|---|---|",
    ]
    for title, points in (("equally good", 0.0), ("0.05 points worse", -0.05), ("0.1 points worse", -0.1)):
        means = [np.mean(each, axis=0) for each in outcomes(points, runs)]
        promotions, gains = zip(*means, strict=True)
        cells = [f"{value:.1f}" for value in promotions] + [f"{value:+.3f} points" for value in gains]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    first = np.mean([promoted_at_once(0.3, seed) for seed in range(10 * runs)])
    lines.append(f"\nA candidate that is 0.3 points better is promoted at its first try in {first:.0%} of the cases.")
    return "\n".join(lines)


def outcomes(points: float, runs: int) -> tuple[list[Outcome], list[Outcome]]:
    """Return the outcomes by `>=` and by the gate, all candidates being `points` better than the first champion."""
    naive, gated = ([retrain(points, seed, naive=naive) for seed in range(runs)] for naive in (True, False))
    return naive, gated


def retrain(points: float, seed: int, *, naive: bool) -> Outcome:
    """Retrain again and again on the same test rows, as a schedule does."""
    random = np.random.default_rng(seed)
    chances = row_chances(random)
    candidate_chances = moved(chances, points)
    champion, quality = random.random(ROWS) >= chances, 0.0
    promotions = refused = 0
    for _ in range(RETRAININGS):
        right = random.random(ROWS) >= candidate_chances
        promoted = right.mean() >= champion.mean() if naive else is_promoted(right, champion, refused)
        refused = 0 if promoted else refused + 1
        if promoted:
            champion, quality, promotions = right, points, promotions + 1
    return Outcome(promotions, quality)


def is_promoted(right: NDArray[np.bool_], champion: NDArray[np.bool_], refused: int = 0) -> bool:
    """Return the gate's decision on a candidate by the rows it gets right, after `refused` others."""
    candidate = Candidate(right, 0.0, 0.0, 0.0)
    return decide(candidate, Champion(1, champion), LABELS, DEFAULT_GATE, refused_before=refused).promoted


def promoted_at_once(points: float, seed: int) -> bool:
    """Return whether a candidate that is `points` better is promoted at its first try."""
    random = np.random.default_rng(1_000 + seed)
    chances = row_chances(random)
    champion, right = random.random(ROWS) >= chances, random.random(ROWS) >= moved(chances, points)
    return is_promoted(right, champion)


def row_chances(random: np.random.Generator) -> NDArray[np.float64]:
    """Draw each row's chance to be misclassified."""
    # Two trainings differ on 2 p (1 - p) of the rows; a beta of mean m and intraclass correlation r has
    # E[p (1 - p)] = m (1 - m) (1 - r).
    correlation = 1 - DIFFERING / ROWS / (2 * ERROR * (1 - ERROR))
    weight = (1 - correlation) / correlation
    return random.beta(ERROR * weight, (1 - ERROR) * weight, ROWS)


def moved(chances: NDArray[np.float64], points: float) -> NDArray[np.float64]:
    """Move all chances so that their mean falls by `points`."""
    if not points:
        return chances
    bounded = np.clip(chances, 1e-12, 1 - 1e-12)
    logits = np.log(bounded / (1 - bounded))
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = (1 / (1 + np.exp(-(logits + middle)))).mean()
        low, high = (middle, high) if mean < chances.mean() - points / 100 else (low, middle)
    return 1 / (1 + np.exp(-(logits + low)))


if __name__ == "__main__":
    main()
