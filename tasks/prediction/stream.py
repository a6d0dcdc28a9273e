"""Stream images through the checks and a version into a file, and add up what comes of it."""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from artifacts import predictions
from artifacts.store import reference_profile
from schemas.errors import InputError, StoreError
from schemas.prediction import Predictor
from tasks.inference import model
from tasks.prediction.batch import answer, repairs_of
from tasks.prediction.stats import PredictionStats
from tasks.sources import inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from artifacts.store.store import Store
    from schemas.prediction import Prediction
    from schemas.rules import InputRules

FIRST = 1000
"""Images that tell of what scale and polarity all are, however small the batches."""


def predictor(store: Store, version: int) -> Predictor:
    """Give a version that can be asked; raise StoreError when it isn't what it was when it was published."""
    ask = model.of_version(store, version)
    return Predictor(
        version=version,
        threshold=_threshold(store, version),
        profile=reference_profile.read(store.verified_dir(version) / reference_profile.NAME),
        probabilities=ask,
    )


def predict(  # noqa: PLR0913, what a run of it is
    source: str,
    predictor: Predictor,
    output: Path,
    rules: InputRules,
    batch_size: int,
    on_batch: Callable[[int], object] = lambda _rows: None,
) -> Prediction:
    """Predict on every image of a source, a batch in memory at a time; `on_batch` hears how many are done.

    Raises InputError, and leaves the output as it was, when the source can't be read, holds nothing, or has drifted
    where the rules forbid that.
    """
    started = time.perf_counter()
    tally = PredictionStats(predictor)
    with predictions.writer(output) as write:
        first, frames = _first_images(inputs.batches(source, rules, batch_size))
        if not len(first):
            raise InputError(f"{source}: no images")
        repairs = repairs_of(first, source, rules)
        for frame in frames:
            answers, counts = answer(frame, predictor, repairs)
            write(answers)
            tally.add(answers, counts)
            on_batch(len(frame))
        prediction = tally.result(source, str(output), rules, time.perf_counter() - started)
        errors = [finding.message for finding in prediction.findings if finding.severity == "error"]
        if errors:
            raise InputError(f"{source}: {'; '.join(errors)}; nothing was written")
    return prediction


def _threshold(store: Store, version: int) -> float | None:
    """Give the confidence from which on a version may answer, as its card has it; None if there is none."""
    abstention = store.card(version).get("abstention")
    threshold: Any = abstention.get("threshold", "missing") if isinstance(abstention, dict) else "missing"
    # Not `isinstance`: a truth is an integer, too. What is no number, NaN, fails the comparison.
    if threshold is None or (type(threshold) in {int, float} and 0 <= threshold <= 1):
        return cast("float | None", threshold)
    raise StoreError(f"version {version}: its card's abstention threshold is {threshold}; 0 to 1 is needed")


def _first_images(frames: Iterator[pd.DataFrame]) -> tuple[pd.DataFrame, Iterator[pd.DataFrame]]:
    """Give the first images, taken together, and all frames once more from the first."""
    taken: list[pd.DataFrame] = []
    while sum(map(len, taken)) < FIRST and (frame := next(frames, None)) is not None:
        taken.append(frame)
    first = pd.concat(taken).iloc[:FIRST] if taken else pd.DataFrame()
    return first, chain(taken, frames)
