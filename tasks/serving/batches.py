"""Predict the images of requests that arrive at the same time as one batch, in one thread.

A batch of 100 takes little longer than one image: most of the time goes into checks and calls whose cost is fixed.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.prediction import PredictionBatch
from tasks.prediction.stream import predict_pixels
from tasks.serving.champion import Champion
from tasks.serving.metrics import Metrics
from tasks.serving.review import ReviewCollector
from tasks.sources.frames import compact

MAX_ROWS = 16_384
logger = logging.getLogger(__name__)


class Answer(NamedTuple):
    """The predictions for a request's images, and the version that made them."""

    version: int
    threshold: float | None
    batch: PredictionBatch


class Job(NamedTuple):
    """The pixels of a request (rows × 784), and its answer when it is there."""

    pixels: NDArray[np.generic]
    answer: Future[Answer]


class BatchPredictor:
    """Predicts with the champion of the moment; one batch is one version's."""

    def __init__(self, champion: Champion, metrics: Metrics, review: ReviewCollector | None = None) -> None:
        self._champion, self._metrics, self._review = champion, metrics, review
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        Thread(target=self._run, daemon=True, name="predict").start()

    def submit(self, pixels: NDArray[np.generic]) -> Future[Answer]:
        """Queue images (rows × 784) for the next batch."""
        job = Job(pixels, Future())
        self._jobs.put(job)
        return job.answer

    def _run(self) -> None:
        while True:
            # A request that was cancelled needs no answer; from here on, none of these can be.
            jobs = [job for job in self._waiting_jobs() if job.answer.set_running_or_notify_cancel()]
            try:
                if jobs:
                    self._predict(jobs)
            except Exception as error:
                logger.exception("%s images weren't predicted", sum(len(job.pixels) for job in jobs))
                for job in jobs:
                    if not job.answer.done():
                        job.answer.set_exception(error)

    def _waiting_jobs(self) -> list[Job]:
        """Wait for a job; return it with those that wait already, up to about MAX_ROWS images."""
        jobs = [self._jobs.get()]
        while sum(len(job.pixels) for job in jobs) < MAX_ROWS:
            try:
                jobs.append(self._jobs.get_nowait())
            except Empty:
                break
        return jobs

    def _predict(self, jobs: list[Job]) -> None:
        predictor = self._champion.current.predictor
        batch, histograms = predict_pixels(compact(np.concatenate([job.pixels for job in jobs])), predictor)
        self._metrics.count_answers(predictor, batch, histograms)
        if self._review:
            self._review.add(batch, predictor)
        start = 0
        for job in jobs:
            rows = slice(start, start := start + len(job.pixels))
            job.answer.set_result(Answer(predictor.version, predictor.threshold, batch.take(rows)))
