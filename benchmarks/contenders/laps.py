"""What every contender shares: the embedded MNIST, a stop-watch that stands still while accuracy is judged, its report.

Needs NumPy alone, so that a contender can run under an interpreter that has nothing of this project.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

TARGET = 0.9756
MNIST = Path(__file__).parents[2] / "data" / "mnist.npz"


class Digits(NamedTuple):
    """Images (rows × 28 × 28, `uint8`) and labels, to train on and to test with."""

    x_train: NDArray[np.uint8]
    y_train: NDArray[np.uint8]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.uint8]


def load_digits() -> Digits:
    """Load all 60,000 training rows and the 10,000 test rows."""
    with np.load(MNIST) as archive:
        return Digits(*(archive[name] for name in Digits._fields))


class Laps:
    """Seconds and test accuracy of each epoch. The clock starts here: after imports and data, before the network."""

    def __init__(self) -> None:
        """Start the clock; the first epoch includes the building of the network and every compilation."""
        self.seconds: list[float] = []
        self.accuracies: list[float] = []
        self._resumed = time.perf_counter()

    def epoch_done(self, judge: Callable[[], float]) -> None:
        """Note an epoch and, with the clock stopped, the test accuracy that `judge` finds."""
        self.seconds.append(time.perf_counter() - self._resumed)
        self.accuracies.append(judge())
        self._resumed = time.perf_counter()

    def seconds_to_target(self) -> float | None:
        """Give the training time until the end of the first epoch that reached the target, if one did."""
        reached = (
            total
            for total, accuracy in zip(accumulate(self.seconds), self.accuracies, strict=True)
            if accuracy >= TARGET
        )
        return next(reached, None)


def report(laps: Laps, final_accuracy: float, libraries: Mapping[str, str], matmul_flops: float | None = None) -> None:
    """Print what was measured as one line of JSON; `matmul_flops` is the machine's peak, where it was sought."""
    measured = {
        "epoch_seconds": laps.seconds,
        "accuracies": laps.accuracies,
        "seconds_to_target": laps.seconds_to_target(),
        "final_accuracy": final_accuracy,
        "peak_bytes": peak_bytes(),
        "libraries": dict(libraries),
        "matmul_flops": matmul_flops,
    }
    print(json.dumps(measured))


def peak_bytes() -> int:
    """Give the most memory that this process ever held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
