"""Shared by the benchmark scripts: their flags, MNIST, and a timer that stops while accuracy is evaluated.

Needs nothing but NumPy, so that a baseline can run under an interpreter without this project's libraries.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MNIST = Path(__file__).parents[1] / "data" / "mnist.npz"
QUICK_EPOCHS = 2


class Digits(NamedTuple):
    """Images (n × 28 × 28, `uint8`) and labels of the training and test rows."""

    x_train: NDArray[np.uint8]
    y_train: NDArray[np.uint8]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.uint8]


def load_digits() -> Digits:
    """Load the 60,000 training rows and the 10,000 test rows of MNIST."""
    with np.load(MNIST) as arrays:
        return Digits(*(arrays[name] for name in Digits._fields))


def flag_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the flags that `bench.py` passes to every script."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="check that the script works; its figures mean nothing")
    parser.add_argument("--work", type=Path, default=Path(), help="folder for temporary files")
    parser.add_argument("--data", type=Path, default=Path(), help="folder with the data sets of `make_large.py`")
    return parser


def seconds_of(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


class EpochTimer:
    """Seconds and test accuracy of each epoch, and seconds of the evaluations between them.

    The clock starts when the timer is made: after imports and loading, before the network is built, so that the first
    epoch includes every compilation.
    """

    def __init__(self) -> None:
        self.epoch_seconds: list[float] = []
        self.accuracies: list[float] = []
        self.evaluation_seconds: list[float] = []
        self._resumed = time.perf_counter()

    def end_epoch(self, evaluate: Callable[[], float]) -> None:
        """Record an epoch, and its test accuracy with the clock stopped."""
        stopped = time.perf_counter()
        self.epoch_seconds.append(stopped - self._resumed)
        self.accuracies.append(evaluate())
        self._resumed = time.perf_counter()
        self.evaluation_seconds.append(self._resumed - stopped)

    def to_dict(self) -> dict[str, object]:
        """Return the measured values as JSON takes them."""
        return {
            "epoch_seconds": self.epoch_seconds,
            "accuracies": self.accuracies,
            "accuracy": self.accuracies[-1],
            "evaluation_seconds": self.evaluation_seconds,
        }
