"""A predictor that needs no trained network."""

import numpy as np
import pytest

from schemas.prediction import Predictor
from tasks.validation import profiles


def predict_by_ink(pixels):
    """Predict from the mean ink: a quick rule that depends on the image alone."""
    logits = np.cos(np.outer(pixels.mean(axis=1), np.arange(1, 11))) * 4
    return (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    """Return a predictor with the profile of the embedded MNIST."""
    return Predictor(version=3, threshold=0.5, profile=profiles.load_embedded(), probabilities=predict_by_ink)
