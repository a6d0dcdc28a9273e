"""Collect the images of requests that a person should look at, and add them to the store's review queue."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import fields
from itertools import groupby
from threading import Event, Lock, Thread
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from artifacts.store import review
from artifacts.store.store import Store
from schemas.prediction import PredictionBatch, Predictor
from tasks.reviewing.entries import Collector, of_predictions
from tasks.validation import row_faults

SECONDS = 600.0
"""Time between two files that are added to the queue."""
MAX_IMAGES = 20_000
"""Images that are kept for a file, 16 MB; it gets the worst of them."""
SOURCE = "service"
logger = logging.getLogger(__name__)


class Piece(NamedTuple):
    """The rows of a batch that a person should look at, and the version that predicted them."""

    predictor: Predictor
    batch: PredictionBatch


class ReviewCollector:
    """Keeps doubtful images until they are written."""

    def __init__(self, store: Store) -> None:
        self._store, self._lock = store, Lock()
        self._pieces: list[Piece] = []
        self._n_images = 0

    def add(self, batch: PredictionBatch, predictor: Predictor) -> None:
        """Keep what a person should look at in a batch; its entries, which take 20 ms, are made by `write`."""
        rows = np.flatnonzero((batch.abstained | batch.unlike_training) & (batch.fault == ""))
        with self._lock:
            rows = rows[: MAX_IMAGES - self._n_images]
            if len(rows):
                self._pieces.append(Piece(predictor, batch.take(rows)))
                self._n_images += len(rows)

    def write(self) -> None:
        """Add what was collected to the queue; an error is logged, and the service goes on without."""
        with self._lock:
            pieces, n_images = self._pieces, self._n_images
            self._pieces, self._n_images = [], 0
        try:
            review.add(self._store, entries_of(pieces))
        except Exception:
            logger.exception("%s images weren't added to the review queue", n_images)

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        """Write every ten minutes while the application runs, and when it ends: SIGTERM ends the process after that."""
        stop = Event()

        def run() -> None:
            while not stop.wait(SECONDS):
                self.write()

        Thread(target=run, daemon=True, name="review").start()
        yield
        stop.set()
        self.write()


def entries_of(pieces: Iterable[Piece]) -> pd.DataFrame:
    """Return the entries of all pieces, made of one batch for each version: their cost is fixed."""
    collector = Collector()
    for _, group in groupby(pieces, key=lambda piece: piece.predictor.version):
        predictors, batches = zip(*group, strict=True)
        names = [field.name for field in fields(PredictionBatch)]
        columns: list[Any] = [np.concatenate([getattr(batch, name) for batch in batches]) for name in names]
        batch = PredictionBatch(*columns)
        # An image that a client sends a thousand times mustn't be the worst thousand.
        _, first = np.unique(row_faults.digests(batch.pixels)[:, 0], return_index=True)
        collector.add(of_predictions(batch.take(first), predictors[0], SOURCE))
    return collector.entries
