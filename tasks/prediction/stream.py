"""Stream images through the checks and a version into a file, and add up what comes of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from artifacts import predictions, reference
from schemas.errors import InputError
from schemas.prediction import Predictor
from tasks.prediction.answers import answer, check_layout
from tasks.prediction.tally import Tally
from tasks.sources import inputs
from tasks.training import inference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from artifacts.store import Store
    from schemas.prediction import Prediction
    from schemas.rules import InputRules

LOOKED_AT = 1000
"""Images of the first batch that tell whether all are of another layout, scale or polarity."""


def predictor(store: Store, version: int) -> Predictor:
    """Give a version that can be asked; raise StoreError when it isn't what it was when it was published."""
    ask = inference.of_version(store, version)
    return Predictor(
        version=version,
        threshold=store.card(version)["abstention"]["threshold"],
        profile=reference.read(store.folder(version) / reference.NAME),
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
    tally = Tally(predictor)
    with predictions.writer(output) as write:
        for frame in inputs.batches(source, rules, batch_size):
            if not tally.rows:
                check_layout(frame.iloc[:LOOKED_AT], source, rules)
            answers, counts = answer(frame, predictor, rules)
            write(answers)
            tally.add(answers, counts)
            on_batch(len(frame))
        if not tally.rows:
            raise InputError(f"{source}: no images")
        prediction = tally.result(source, str(output), rules, time.perf_counter() - started)
        errors = [finding.message for finding in prediction.findings if finding.severity == "error"]
        if errors:
            raise InputError(f"{source}: {'; '.join(errors)}; nothing was written")
    return prediction
