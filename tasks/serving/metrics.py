"""The service's metrics for Prometheus."""

from __future__ import annotations

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from schemas.digits import CLASSES
from schemas.prediction import PredictionBatch, Predictor
from schemas.rules import DEFAULT_INPUT_RULES
from tasks.validation.drift import drifts
from tasks.validation.profiles import Histograms

DRIFT_ROWS = 1000
"""Number of images over which drift is measured: of each next thousand."""


class Metrics:
    """Counts of requests and answers. One thread calls `count_answers`."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "digits_requests", "Requests by path and status.", ["path", "status"], registry=registry
        )
        self.seconds = Histogram(
            "digits_request_seconds", "Time to answer a request to predict.", registry=registry,
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
        )  # fmt: skip
        self._answers = Counter("digits_answers", "Answers by digit.", ["digit"], registry=registry)
        self._abstained = Counter("digits_abstained", "Images abstained from.", registry=registry)
        self._unlike = Counter("digits_unlike_training", "Images unlike the training images.", registry=registry)
        self._drift = Gauge(
            "digits_drift", f"Drift of the last {DRIFT_ROWS} images as a share of its threshold.", ["measure"],
            registry=registry,
        )  # fmt: skip
        self._version = Gauge("digits_version", "Number of the version that answered last.", registry=registry)
        self._reference = 0
        self._histograms: Histograms | None = None

    def count_answers(self, predictor: Predictor, batch: PredictionBatch, histograms: Histograms) -> None:
        """Count a batch's answers; measure drift whenever enough images have come."""
        answered = batch.label[~batch.abstained]
        for digit, n in zip(CLASSES, np.bincount(answered, minlength=len(CLASSES)).tolist(), strict=True):
            self._answers.labels(digit).inc(n)
        self._abstained.inc(int(batch.abstained.sum()))
        self._unlike.inc(int(batch.unlike_training.sum()))
        self._version.set(predictor.version)
        if self._histograms is None or self._reference != predictor.version:  # bins are the version's
            self._reference, self._histograms = predictor.version, histograms
        else:
            self._histograms += histograms
        if self._histograms.labels.sum() >= DRIFT_ROWS:
            for drift in drifts("requests", self._histograms, predictor.profile, DEFAULT_INPUT_RULES):
                self._drift.labels(drift.name).set(drift.value / drift.bound)
            self._histograms = None

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
