"""A training and a test frame with rows that fail each check."""

import numpy as np
import pytest
from samples import draw_digits
from sharded import spoiled_frame

from schemas.pixel_frame import labelled_frame


@pytest.fixture(scope="session")
def train():
    return spoiled_frame(600, seed=1)


@pytest.fixture(scope="session")
def frame_to_test(train):
    frame = labelled_frame(*draw_digits(200, seed=2))
    frame.iloc[9, 1:] = train.iloc[11, 1:].astype(np.uint8)  # leaks
    return frame
