"""Simulate a hundred retrainings: how often luck promotes a candidate that is no better, by the gate and by `>=`.

Every test row has a chance to be got wrong by a fresh training, most of them hardly any, a few nearly always: drawn
from a beta distribution whose mean and spread give 94 mistakes in 10,000 and two trainings that differ on about 100
rows, as two runs of the default recipe do. A candidate that is better or worse has these chances moved on the logistic
scale.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from schemas.gate import DEFAULT_GATE
from tasks.scoring.gate import Candidate, Champion, decide

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTRODUCTION = """\
# The gate, simulated

`python benchmarks/gate_simulation.py` writes this page. A hundred retrainings on one test set of 10,000 rows, 99.06 %
of them recognised, any two trainings differing on about a hundred: how often a candidate becomes the champion by `>=`,
as most pipelines have it, and by the gate with its defaults; and how much better than the first one the champion
truly is at the end."""
ROWS = 10_000
ERROR = 0.0094
DIFFERING = 100
RETRAININGS = 100


class Outcome(NamedTuple):
    """What a run of retrainings came to: promotions, and how many points better the champion really is at the end."""

    promotions: int
    gain: float


def main() -> None:
    """Print what came of it, and write it to `gate.md`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40, help="runs of a hundred retrainings each (default 40)")
    options = parser.parse_args()
    text = f"{INTRODUCTION}\n\n{table(options.runs)}\n"
    print(text)
    Path(__file__).with_name("gate.md").write_text(text)


def table(runs: int) -> str:
    """Simulate and write a markdown table."""
    lines = [
        f"| {RETRAININGS} retrainings, {runs} times | promoted, `>=` | by the gate | gain, `>=` | by the gate |",
        "|---|---|---|---|---|",
    ]
    for told, points in (("equally good", 0.0), ("0.05 points worse", -0.05), ("0.1 points worse", -0.1)):
        naive, gated = outcomes(points, runs)
        lines.append(
            f"| {told} | {_mean(o.promotions for o in naive):.1f} | {_mean(o.promotions for o in gated):.1f} "
            f"| {_mean(o.gain for o in naive):+.3f} points | {_mean(o.gain for o in gated):+.3f} points |"
        )
    first = [promoted_at_once(0.3, seed) for seed in range(10 * runs)]
    lines.append(
        f"\nA candidate that is 0.3 points better is promoted at its first try in {_mean(first):.0%} of the cases."
    )
    return "\n".join(lines)


def outcomes(points: float, runs: int) -> tuple[list[Outcome], list[Outcome]]:
    """Give what `>=` and the gate make of candidates that are so many points better than the first champion."""
    pairs = [(retrain(points, seed, naive=True), retrain(points, seed, naive=False)) for seed in range(runs)]
    return [naive for naive, _ in pairs], [gated for _, gated in pairs]


def retrain(points: float, seed: int, *, naive: bool) -> Outcome:
    """Retrain again and again on the same test rows, as a schedule does."""
    random = np.random.default_rng(seed)
    chances = row_chances(random)
    other = moved(chances, points)
    labels = np.arange(ROWS, dtype=np.uint8) % 10
    champion, quality = random.random(ROWS) >= chances, 0.0
    promotions = refused = 0
    for _ in range(RETRAININGS):
        right = random.random(ROWS) >= other
        if naive:
            promoted = right.mean() >= champion.mean()
        else:
            candidate = Candidate(right, 0.0, 0.0, 0.0)
            promoted = decide(candidate, Champion(1, champion), labels, DEFAULT_GATE, refused_before=refused).promoted
        refused = 0 if promoted else refused + 1
        if promoted:
            champion, quality, promotions = right, points, promotions + 1
    return Outcome(promotions, quality)


def promoted_at_once(points: float, seed: int) -> bool:
    """Tell whether a candidate that is so much better is promoted at its first try."""
    random = np.random.default_rng(1_000 + seed)
    chances = row_chances(random)
    champion, right = random.random(ROWS) >= chances, random.random(ROWS) >= moved(chances, points)
    labels = np.arange(ROWS, dtype=np.uint8) % 10
    return decide(Candidate(right, 0.0, 0.0, 0.0), Champion(1, champion), labels, DEFAULT_GATE).promoted


def row_chances(random: np.random.Generator) -> NDArray[np.float64]:
    """Draw each row's chance to be got wrong."""
    # Two trainings differ on 2 p (1 - p) of the rows; a beta of mean m and intraclass correlation r has
    # E[p (1 - p)] = m (1 - m) (1 - r).
    correlation = 1 - DIFFERING / ROWS / (2 * ERROR * (1 - ERROR))
    weight = (1 - correlation) / correlation
    return random.beta(ERROR * weight, (1 - ERROR) * weight, ROWS)


def moved(chances: NDArray[np.float64], points: float) -> NDArray[np.float64]:
    """Move all chances so that their mean falls by so many points."""
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


def _mean(values: object) -> float:
    return float(np.mean(list(values)))  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
