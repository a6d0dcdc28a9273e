"""Collect the images of requests that a person should look at, and add them to the store's review queue."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread

from artifacts.store import review
from artifacts.store.store import Store
from schemas.prediction import PredictionBatch, Predictor
from tasks.reviewing.entries import Collector, of_predictions

SECONDS = 600.0
"""Time between two files that are added to the queue."""
SOURCE = "service"
logger = logging.getLogger(__name__)


class ReviewCollector:
    """Keeps the worst images until they are written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._collector, self._lock = Collector(), Lock()

    def add(self, batch: PredictionBatch, predictor: Predictor) -> None:
        """Keep what a person should look at in a batch."""
        if (batch.abstained | batch.unlike_training).any():
            entries = of_predictions(batch, predictor, SOURCE)
            with self._lock:
                self._collector.add(entries)

    def write(self) -> None:
        """Add what was collected to the queue; an error is logged, and the service goes on without."""
        with self._lock:
            entries = self._collector.take()
        try:
            review.add(self._store, entries)
        except Exception:
            logger.exception("%s images weren't added to the review queue", entries["item"].nunique())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write every ten minutes inside the `with`, and once more at its end."""
        stop = Event()

        def run() -> None:
            while not stop.wait(SECONDS):
                self.write()

        Thread(target=run, daemon=True, name="review").start()
        try:
            yield
        finally:
            stop.set()
            self.write()
