"""Stream images through the row checks and a model into the predictions file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from artifacts import predictions
from artifacts.store import reference_profile
from artifacts.store.store import Store
from schemas.errors import InputError, StoreError
from schemas.prediction import Prediction, Predictor
from schemas.rules import InputRules
from tasks.inference import model
from tasks.prediction.batch import predict_batch, repairs_of
from tasks.prediction.stats import PredictionStats
from tasks.sources import inputs

MAX_PROBED = 1000
"""First images that decide scale and polarity for all, whatever the batch size."""


def predictor(store: Store, version: int) -> Predictor:
    """Load a version; raise StoreError if its files differ from its card."""
    folder = store.verified_dir(version)
    abstention = store.card(version).get("abstention")
    threshold: Any = abstention.get("threshold", "missing") if isinstance(abstention, dict) else "missing"
    # Not `isinstance`: a bool is an int, too. NaN fails the comparison.
    if threshold is not None and not (type(threshold) in {int, float} and 0 <= threshold <= 1):
        raise StoreError(
            f"version {version}: the abstention threshold on its card is {threshold}, not a number from 0 to 1; "
            "--version names another version"
        )
    profile = reference_profile.read(folder / reference_profile.NAME)
    return Predictor(version, threshold, profile, model.load_version(folder, version))


def predict(  # noqa: PLR0913, the parameters of a prediction
    source: str,
    predictor: Predictor,
    output: Path,
    rules: InputRules,
    batch_size: int,
    on_batch: Callable[[int], object] = lambda _n_rows: None,
) -> Prediction:
    """Predict every image of a source, one batch in memory at a time; `on_batch` gets the number of its images.

    Raises InputError, and leaves the output unchanged, if the source can't be read, is empty, would be overwritten, or
    has drifted where the rules forbid that.
    """
    started = time.perf_counter()
    inputs.check(source, output)
    stats = PredictionStats(predictor)
    with predictions.writer(output) as write:
        first, frames = _first_images(inputs.batches(source, rules, batch_size))
        if not len(first):
            raise InputError(f"{source}: no images")
        repairs = repairs_of(first, source, rules)
        for frame in frames:
            batch, counts = predict_batch(frame, predictor, repairs)
            write(batch)
            stats.add(batch, counts)
            on_batch(len(frame))
        prediction = stats.result(source, str(output), rules, time.perf_counter() - started)
        errors = [finding.message for finding in prediction.findings if finding.severity == "error"]
        if errors:
            raise InputError(f"{source}: {'; '.join(errors)}; nothing was written")
    return prediction


def _first_images(frames: Iterator[pd.DataFrame]) -> tuple[pd.DataFrame, Iterator[pd.DataFrame]]:
    """Return up to the first 1,000 images as one frame, and an iterator over all frames that starts with these."""
    taken: list[pd.DataFrame] = []
    while sum(map(len, taken)) < MAX_PROBED and (frame := next(frames, None)) is not None:
        taken.append(frame)
    first = pd.concat(taken).iloc[:MAX_PROBED] if taken else pd.DataFrame()
    return first, chain(taken, frames)
