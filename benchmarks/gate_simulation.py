"""Simulate the gate with answers of real models to MNIST's test images; write `gate.md`.

A simulated model takes each row's answers from a random seed of its recipe, or of a second, better recipe for a share
of the rows, which sets its true accuracy. So equal models are exactly equal, and differ on as many rows as real ones.
Each run draws its test rows from the 10,000 with replacement: the 10,000 are the population, in which truth is known.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from gate_models import N_ROWS, RECIPES, Model, Registry, Setting, World, accuracy, answers, mnist_divisions
from numpy.typing import NDArray
from scipy.stats import norm

from tasks.scoring import evidence

PAGE = Path(__file__).with_name("gate.md")
RETRAININGS = 100
FAST, WORSE, BAD, BEST = "fast", "fast, 6 epochs", "fast, 1 epoch", "best"


def introduction(setting: Setting) -> str:
    """Return the head of the page, with the real models."""
    real = [
        f"*{name}*, `{' '.join(RECIPES[name][0])}`, {100 * accuracy(models):.2f} % ({len(models)} seeds)"
        for name, models in setting.models.items()
    ]
    joined = ";\n".join(real)
    method = (__doc__ or "").partition("\n\n")[2].strip()
    return f"""\
# The gate, simulated

`python benchmarks/gate_simulation.py` writes this page from the answers of real models, which `gate_models.py` trains
once:\n{joined}.

{method}

Unless said otherwise: {N_ROWS:,} test rows, {setting.runs} runs of {RETRAININGS} retrainings, the gate's defaults. *By
epochs*: `fast` with 6 epochs mixed with `fast`; *by augmentation*: `fast` mixed with `best`."""


def goals(setting: Setting) -> str:
    equal = [retrain(world, FAST) for world in setting.worlds()]
    worse = {
        points: [retrain(world, FAST, WORSE, world.share(-points, FAST, WORSE)) for world in setting.worlds()]
        for points in (0.05, 0.1)
    }
    tries = {points: first_tries(setting, points) for points in (0.2, 0.3)}
    rows = [
        ("equally good, 100 retrainings: promotions", "at most 0.5", f"{_mean(equal, 'promotions'):.2f}"),
        ("the same by `>=`", "", f"{_mean(equal, 'naive_promotions'):.1f}"),
    ]
    for points, outcomes in worse.items():
        rows.append((f"{points} points worse, the same", "", f"{_mean(outcomes, 'promotions'):.2f}"))
    for (points, kinds), goal in zip(tries.items(), (80, 97), strict=True):
        for kind, share in kinds.items():
            what = f"better by {points} points ({kind}): promoted at its first try"
            rows.append((what, f"at least {goal} %", f"{100 * share:.0f} %"))
    rows += [
        ("0.2 points, after 20 plainly bad candidates", "at least 75 %", f"{100 * after(setting, 0.2, BAD, 20):.0f} %"),
        ("0.2 points, after 30 equally good candidates", "", f"{100 * after(setting, 0.2, WORSE, 30):.0f} %"),
        ("0.3 points, after 30 equally good candidates", "", f"{100 * after(setting, 0.3, WORSE, 30):.0f} %"),
        ("0.3 points, after 365 equally good candidates", "", f"{100 * after(setting, 0.3, WORSE, 365):.0f} %"),
        ("`best` over `fast`, real seeds, two tries", "all", f"{real_pairs(setting)} of {len(setting.models[BEST])}"),
    ]
    return "## Goals\n\n" + table(("what", "goal", "measured"), rows)


class Outcome(NamedTuple):
    """The promotions in a run by the gate and by `>=`, and by how many points the last champions did too well."""

    promotions: int
    naive_promotions: int
    optimism: float
    naive_optimism: float


def _mean(outcomes: list[Outcome], name: str) -> float:
    return float(np.mean([getattr(outcome, name) for outcome in outcomes]))


def retrain(world: World, recipe: str, other: str = "", share: float = 0.0, retrainings: int = RETRAININGS) -> Outcome:
    """Retrain again and again on the same test rows, as a schedule does."""
    registry = Registry(world.model(FAST), world.divisions)
    promotions = naive_promotions = 0
    naive = registry.champion
    for _ in range(retrainings):
        model = world.model(recipe, other, share)
        promotions += registry.submit(model).promoted
        if model[:, 0].mean() >= naive[:, 0].mean():
            naive, naive_promotions = model, naive_promotions + 1
    true = accuracy(world.models[FAST])
    lucky, naive_lucky = (100 * (float(one[:, 0].mean()) - true) for one in (registry.champion, naive))
    return Outcome(promotions, naive_promotions, lucky, naive_lucky)


def first_tries(setting: Setting, points: float) -> dict[str, float]:
    """Return how often a better candidate is promoted at its first try, by what makes it better."""
    kinds = {"by epochs": (WORSE, FAST), "by augmentation": (FAST, BEST)}
    promoted: dict[str, list[bool]] = {kind: [] for kind in kinds}
    for world in setting.worlds(factor=10):
        for kind, (recipe, other) in kinds.items():
            share = world.share(points, recipe, other)
            if share <= 1:
                registry = Registry(world.model(recipe), world.divisions)
                promoted[kind].append(registry.submit(world.model(recipe, other, share)).promoted)
    return {kind: float(np.mean(decisions)) for kind, decisions in promoted.items() if decisions}


def after(setting: Setting, points: float, recipe: str, refused: int) -> float:
    """Return how often a better candidate is promoted at its first try after others of a recipe."""
    promoted = []
    for world in setting.worlds():
        registry = Registry(world.model(WORSE), world.divisions)
        for _ in range(refused):
            registry.submit(world.model(recipe))
        share = world.share(points, WORSE, FAST)
        promoted += [registry.decide(world.model(WORSE, FAST, share)).promoted for _ in range(10)]
    return float(np.mean(promoted))


def real_pairs(setting: Setting) -> int:
    """Count the seeds of `fast` that the seed of `best` with the same number, or the next one, replaces."""
    fast, best = setting.models[FAST], setting.models[BEST]
    count = 0
    for seed in range(len(best)):
        registry = Registry(fast[seed], setting.divisions)
        count += any(registry.submit(best[(seed + attempt) % len(best)]).promoted for attempt in range(2))
    return count


def calibration(setting: Setting) -> str:
    """Return how often the p-value of equally good models is below a level."""
    levels = (0.05, evidence.p_threshold(0.05, 0), evidence.p_threshold(0.05, 1000))
    simulated = [
        _p_value(world.model(FAST), world.model(FAST)) for world in setting.worlds(factor=10) for _ in range(3)
    ]
    real = setting.models[FAST]
    pairs = [_p_value(one, other) for one in real for other in real if one is not other]
    rows = [
        (title, *(f"{100 * np.mean(np.array(p_values) <= level):.2f} %" for level in levels))
        for title, p_values in (("simulated, exactly equal", simulated), ("pairs of real seeds of `fast`", pairs))
    ]
    header = ("p-value at most", *(f"{100 * level:.2f} %" for level in levels))
    return "## Calibration\n\n" + table(header, rows)


def _p_value(candidate: Model, champion: Model) -> float:
    return evidence.sign_flip_test(candidate.sum(axis=1) - champion.sum(axis=1))


def evidences(setting: Setting) -> str:
    """Return the power of several kinds of evidence."""
    kinds: dict[str, Callable[[Model], NDArray[np.floating]]] = {
        "the image alone (McNemar)": lambda right: right[:, 0].astype(float),
        "and 4 shifts by half a pixel": lambda right: right[:, [0, 1, 2, 3, 6]].mean(axis=1),
        "and 8 shifts, also diagonal (the gate)": lambda right: right.mean(axis=1),
    }
    rows = []
    for title, score in kinds.items():
        cells = []
        for recipe, other, points in ((FAST, FAST, 0.0), (WORSE, FAST, 0.2), (WORSE, FAST, 0.3)):
            z = []
            for world in setting.worlds(factor=5):
                share = world.share(points, recipe, other) if points else 0.0
                gain = score(world.model(recipe, other, share)) - score(world.model(recipe))
                z.append(gain.sum() / np.sqrt((gain**2).sum()))
            promoted = np.mean(np.array(z) >= norm.isf(evidence.p_threshold(0.05, 0)))
            cells.append(f"{np.mean(z):.2f} ({100 * promoted:.0f} %)")
        rows.append((title, *cells))
    text = "The mean z value, and the share of first tries that are significant; normal approximation.\n\n"
    header = ("evidence", "equally good", "better by 0.2 points", "by 0.3 points")
    return f"## Evidence\n\n{text}" + table(header, rows)


def newer_data(setting: Setting) -> str:
    """Return what happens to candidates with new training rows."""
    rows = []
    for n_rows in (1_000, 3_000, 10_000):
        for points in (0.0, 0.1, 0.3):
            decisions = []
            for world in setting.worlds(n_rows, factor=5):
                registry = Registry(world.model(FAST), world.divisions)
                share = world.share(-points, FAST, WORSE)
                decisions.append(registry.submit(world.model(FAST, WORSE, share), new_rows=1))
            margin = np.mean([decision.comparison.margin for decision in decisions if decision.comparison])
            promoted = np.mean([decision.promoted for decision in decisions])
            title = f"{points:g} points worse" if points else "equally good"
            rows.append((f"{n_rows:,}", title, f"{margin:.2f}", f"{100 * promoted:.0f} %"))
    return "## New training rows\n\n" + table(("test rows", "candidate", "margin, points", "promoted"), rows)


def slice_refusals(setting: Setting) -> str:
    """Return how often candidates are refused for a slice: equally good ones, and `best` that is worse in one slice."""
    thin = setting.divisions[1].slices[0]
    titles = ("equally good, digits alone", "equally good, all slices")
    weak = {name: f"`{BEST}`, but `{name}` for the {thin} strokes" for name in (WORSE, BAD)}
    refused: dict[str, list[bool]] = {title: [] for title in (*titles, *weak.values())}
    for world in setting.worlds(factor=20):
        champion, equal = world.model(FAST), world.model(FAST)
        candidates = [(title, equal, world.divisions[:number]) for title, number in zip(titles, (1, None), strict=True)]
        is_thin = world.divisions[1].numbers == 0
        for name, title in weak.items():
            mixed = np.where(is_thin[:, None], world.model(name), world.model(BEST))
            candidates.append((title, mixed, world.divisions))
        for title, model, divisions in candidates:
            refused[title].append("in slices" in Registry(champion, divisions).submit(model).reason)
    rows = [(title, f"{100 * np.mean(decisions):.1f} %") for title, decisions in refused.items()]
    text = (
        "The champion is `fast`; Holm's correction over all slices allows 5 % of the equally good candidates to be "
        "refused.\n\n"
    )
    return f"## Slices\n\n{text}" + table(("candidate", "refused for a slice"), rows)


def creep(setting: Setting) -> str:
    """Return how far 60 candidates with new rows, each 0.05 points worse than the champion, lower it."""
    lost: list[float] = []
    unanchored: list[float] = []
    promotions: list[int] = []
    for world in setting.worlds():
        for is_anchored in (True, False):
            registry, loss, count = Registry(world.model(FAST), world.divisions), 0.0, 0
            for _ in range(60):
                share = min(world.share(-(loss + 0.05), FAST, WORSE), 1.0)
                if registry.submit(world.model(FAST, WORSE, share), new_rows=1).promoted:
                    loss, count = loss + 0.05, count + 1
                if not is_anchored:
                    registry.state = registry.state.with_fields(best_champion=registry.state.champion)
            (lost if is_anchored else unanchored).append(loss)
            promotions += [count] if is_anchored else []
    return (
        "## Creep\n\nSixty candidates in a row with new training rows, each 0.05 points worse than the champion: "
        f"{np.mean(promotions):.1f} are promoted, and the champion is {np.mean(lost):.2f} points worse in the end, at "
        f"most {max(lost):.2f}. Compared with the champion alone, and not with the best champion so far, it would be "
        f"{np.mean(unanchored):.2f} points."
    )


def repeated_rows(setting: Setting) -> str:
    """Return how often equally good candidates are promoted if each test row is there 20 times."""
    digests, promoted, naive = np.repeat(np.arange(1_000, dtype=np.uint64), 20), [], []
    for world in setting.worlds(1_000, factor=10):
        champion, model = (np.repeat(world.model(FAST), 20, axis=0) for _ in range(2))
        promoted.append(Registry(champion, digests=digests).submit(model).promoted)
        naive.append(Registry(champion).submit(model).promoted)
    return (
        "## Repeated test rows\n\n1,000 test rows, each 20 times: an equally good candidate is promoted in "
        f"{100 * np.mean(promoted):.1f} % of the first tries; if copies counted, in {100 * np.mean(naive):.1f} %."
    )


def overfitting(setting: Setting) -> str:
    """Return how much the champion's accuracy on the test rows exceeds the truth after a year."""
    outcomes = [retrain(world, FAST, retrainings=365) for world in setting.worlds()]
    first = [100 * (world.model(FAST)[:, 0].mean() - accuracy(setting.models[FAST])) for world in setting.worlds()]
    rows = [
        ("the first champion", "0", f"{np.mean(first):+.3f}"),
        ("by the gate", f"{_mean(outcomes, 'promotions'):.1f}", f"{_mean(outcomes, 'optimism'):+.3f}"),
        ("by `>=`", f"{_mean(outcomes, 'naive_promotions'):.1f}", f"{_mean(outcomes, 'naive_optimism'):+.3f}"),
    ]
    text = "365 equally good candidates: by how much the champion's test accuracy exceeds its true accuracy.\n\n"
    return f"## A year on the same test rows\n\n{text}" + table(("champion", "promotions", "too high, points"), rows)


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) + ("--:",) * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PARTS = (goals, slice_refusals, evidences, calibration, newer_data, creep, repeated_rows, overfitting)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40, help="runs of each simulation (default 40)")
    parser.add_argument("--trained", action="store_true", help="use the models that are there, train none")
    parser.add_argument("--only", choices=[part.__name__ for part in PARTS], help="print one part, write nothing")
    options = parser.parse_args()
    setting = Setting(answers(trains=not options.trained), mnist_divisions(), options.runs)
    parts = [part for part in PARTS if options.only in (None, part.__name__)]
    page = "\n\n".join([introduction(setting), *(part(setting) for part in parts)]) + "\n"
    print(page)
    if not options.only:
        PAGE.write_text(page)


if __name__ == "__main__":
    main()
