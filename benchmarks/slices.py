"""Simulate how often the gate's test of slices refuses an equally good candidate; write `slices.md`.

Run it as `python benchmarks/slices.py STORE`, with a store that has several versions trained on MNIST by one recipe.
A simulated model takes each row's answer from a random version, so that all of them are equally good. Each run draws
its test rows from the 10,000 with replacement.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent / "project"))
import api

from artifacts.store.store import Store
from schemas.gate import DEFAULT_GATE
from schemas.slices import Division
from tasks.scoring import slices
from tasks.scoring.gate import Candidate, Champion, ComparedRows, decide

PAGE = Path(__file__).with_name("slices.md")
RUNS = 1000


def main() -> None:
    """Simulate and write the page."""
    api.import_tensorflow()
    from tasks.inference import model

    dataset, store = api.validate(api.load("mnist")), Store(sys.argv[1])
    pixels, labels = dataset.test.read(slice(None)), dataset.test.labels
    networks = [model.load_version(store.verified_dir(version), version) for version in store.versions()]
    right = np.stack([predict(pixels).argmax(axis=1) == labels for predict in networks])
    divisions = slices.divide(dataset)
    lines = [
        f"| {what} | {100 * refused_share(right, chosen):.1f} % |"
        for what, chosen in (("digits alone", divisions[:1]), ("all slices", divisions))
    ]
    page = f"""\
# Slices, simulated

`python benchmarks/slices.py` writes this page. An equally good candidate is refused for a slice in {RUNS:,} runs, from
{len(networks)} versions of one recipe; at most {100 * DEFAULT_GATE.gate_alpha:g} % are expected:

| slices | refused |
| --- | --: |
"""
    PAGE.write_text(page + "\n".join(lines) + "\n")
    print(PAGE.read_text())


def refused_share(right: NDArray[np.bool_], divisions: tuple[Division, ...]) -> float:
    """Return the share of runs in which the slices refuse an equally good candidate."""
    random, refused = np.random.default_rng(0), 0
    n_rows = right.shape[1]
    for _ in range(RUNS):
        rows = random.integers(n_rows, size=n_rows)
        ours, theirs = (right[random.integers(len(right), size=n_rows), rows] for _ in range(2))
        drawn = tuple(Division(one.name, one.slices, one.numbers[rows]) for one in divisions)
        compared = ComparedRows(np.arange(n_rows, dtype=np.uint64), drawn)
        measurements = {"accuracy": 1.0, "calibration error": 0.0, "model size in MiB": 0.0, "latency in ms": 0.0}
        champion = Champion(1, theirs, np.zeros(n_rows, bool))
        refused += "in slices" in decide(Candidate(ours, measurements), champion, compared, DEFAULT_GATE).reason
    return refused / RUNS


if __name__ == "__main__":
    main()
