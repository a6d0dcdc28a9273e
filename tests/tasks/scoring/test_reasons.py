"""The reasons why an answer isn't to be trusted: one drawn example each."""

import dataclasses

import numpy as np
import pytest

from schemas.digits import SIDE
from tasks.scoring import reasons
from tasks.scoring.measures import MEASURES
from tasks.validation import profiles

PROFILE = profiles.load_embedded()
Y, X = np.mgrid[:SIDE, :SIDE]


def ring(thickness=3.0, radius=7.5, middle=(14, 14), lean=0.0, brightness=255.0):
    """Return the image of a 0, 1 × 784, with soft edges as MNIST's."""
    down = Y - middle[0]
    distance = np.abs(np.hypot(1.35 * (X - middle[1] + lean * down), down) - radius)
    return (np.clip((thickness + 1) / 2 - distance, 0, 1) * brightness).astype(np.uint8).reshape(1, -1)


def without(image, rows):
    image = image.copy().reshape(SIDE, SIDE)
    image[rows] = 0
    return image.reshape(1, -1)


EXAMPLES = {
    "strokes thinner than 99 % of the training digits": ring(thickness=0.9),
    "strokes thicker than 99 % of the training digits": ring(thickness=6),
    "leans more to the left than 99 % of the training digits": ring(lean=-1.2),
    "leans more to the right than 99 % of the training digits": ring(lean=1.2),
    "less ink than 99 % of the training digits": ring(thickness=1, radius=3),
    "more ink than 99 % of the training digits": ring(thickness=8),
    "smaller than 99 % of the training digits": ring(radius=4),
    "larger than 99 % of the training digits": ring(radius=12),
    "low contrast: fainter than 99 % of the training digits": ring(brightness=90),
    "in 2 pieces": without(ring(), np.s_[13:16]),
    "touches the border": ring(middle=(14, 3)),
    "off-centre by 4 pixels": ring(middle=(18, 14)),
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_picture_is_described_by_what_is_unusual(text):
    assert text in reasons.describe(EXAMPLES[text], PROFILE)[0]


def test_each_text_about_a_picture_has_an_example():
    texts = [text for measure in MEASURES for text in (measure.low, measure.high) if text]
    assert len(EXAMPLES) == len(texts)


def test_a_usual_digit_has_nothing_to_describe():
    assert reasons.describe(ring(), PROFILE) == [[]]


def explained(image, *, probabilities=(), distance=0.5, threshold=0.9):
    shares = np.zeros(10, np.float32)
    for digit, share in dict(probabilities).items():
        shares[digit] = share
    distances = np.array([distance * PROFILE.outlier_threshold], np.float32)
    (texts,) = reasons.explain(image, shares[None], distances, threshold, PROFILE)
    return texts


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"probabilities": {4: 0.52, 9: 0.41, 7: 0.07}}, "between 4 and 9: 52 % and 41 %"),
        ({"probabilities": {4: 0.6, **dict.fromkeys((1, 2, 3, 7), 0.1)}}, "60 % for 4, less than the 90 % needed"),
        (
            {"probabilities": {4: 0.9962, 9: 0.0035}, "threshold": 0.9993},
            "between 4 and 9: 99.62 % and 0.35 %",
        ),
        ({"probabilities": {4: 1}, "threshold": None}, "too few held-out rows prove how often this version is right"),
        (
            {"probabilities": {4: 1}, "distance": 1.42},
            "an unusual shape: 1.42 times the distance of an outlier",
        ),
    ],
)
def test_an_answer_is_explained_by_probabilities_and_distance(answer, text):
    assert explained(ring(), **answer) == [text]


def test_a_picture_may_have_several_reasons():
    assert explained(ring(middle=(18, 14)), probabilities={0: 0.5, 6: 0.5}) == [
        "between 0 and 6: 50 % and 50 %",
        "touches the border",
        "off-centre by 4 pixels",
    ]


def test_versions_of_older_releases_have_no_percentiles_to_compare_with():
    profile = dataclasses.replace(PROFILE, percentiles={})
    assert reasons.describe(ring(middle=(18, 14)), profile) == [[]]
