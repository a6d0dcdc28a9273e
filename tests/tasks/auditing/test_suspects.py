"""An audit's suspects: wrong labels, near-duplicates with other labels, outliers."""

import dataclasses

import numpy as np
import pytest
from samples import accepted, draw_digits

from schemas.audit import DUPLICATE, LABEL, OUTLIER
from schemas.images import InMemoryImages
from tasks.auditing import label_errors, similarity
from tasks.auditing.out_of_fold import OutOfFold
from tasks.auditing.suspects import find_suspects


def confident_in(digits, sure=0.91):
    """Return probabilities that are `sure` of each row's digit."""
    probabilities = np.full((len(digits), 10), (1 - sure) / 9)
    probabilities[np.arange(len(digits)), digits] = sure
    return probabilities.astype(np.float32)


@pytest.fixture(scope="module")
def dataset(tiny_npz):
    return accepted(tiny_npz)


@pytest.fixture
def suspects_of(dataset):
    """Return a function that returns the suspects of a changed dataset, whose networks know the true digits."""
    truth = {"train": dataset.train.labels, "test": dataset.test.labels}

    def find(**changes):
        changed = dataclasses.replace(dataset, **changes)
        probabilities = {part: confident_in(labels) for part, labels in truth.items()}
        labels = {"train": changed.train.labels, "test": changed.test.labels}
        errors = {part: label_errors.is_confident_error(probabilities[part], labels[part]) for part in labels}
        return find_suspects(changed, OutOfFold(probabilities, errors))

    return find


def relabelled(images, row, label):
    labels = images.labels.copy()
    labels[row] = label
    return InMemoryImages(images.read(slice(None)), labels)


def of_kind(kind, suspects):
    return suspects[suspects["kind"] == kind]


def test_wrong_label_is_named_with_its_part_row_and_true_digit(dataset, suspects_of):
    label = int(dataset.test.labels[7] + 1) % 10
    (suspect,) = of_kind(LABEL, suspects_of(test=relabelled(dataset.test, 7, label))).to_dict("records")
    assert (suspect["part"], suspect["row"], suspect["item"]) == ("test", 7, "7")
    assert (suspect["label"], suspect["proposed"]) == (label, dataset.test.labels[7])
    assert suspect["confident"]
    assert suspect["reason"] == f"looks like {dataset.test.labels[7]} (91.0%), not like {label} (1.0%)"


def test_almost_equal_image_with_another_label_is_named(dataset, suspects_of):
    pixels, labels = dataset.train.read(slice(None)).copy(), dataset.train.labels.copy()
    pixels[20] = np.clip(pixels[3].astype(int) + 1, 0, 255)
    labels[3] = (labels[3] + 1) % 10  # the networks confirm the copy's label, not this one
    found = of_kind(DUPLICATE, suspects_of(train=InMemoryImages(pixels, labels)))
    assert found["row"].tolist() == [3]
    assert "the same as row" in found["reason"].iloc[0]


def test_image_unlike_all_digits_is_an_outlier(dataset, suspects_of):
    pixels = dataset.test.read(slice(None)).copy()
    pixels[5] = np.random.default_rng(0).integers(0, 256, 784)
    found = of_kind(OUTLIER, suspects_of(test=InMemoryImages(pixels, dataset.test.labels)))
    assert ("test", 5) in zip(found["part"], found["row"], strict=True)


def test_right_labels_give_no_label_errors(suspects_of):
    assert of_kind(LABEL, suspects_of()).empty


def test_confident_error_needs_the_confidence_of_the_other_class():
    """By hand: t_0 is 0.7, t_1 is 0.62, the means of the probabilities of the rows' own labels."""
    probabilities = np.zeros((5, 10))
    probabilities[:, 0] = [0.9, 0.9, 0.3, 0.1, 0.66]
    probabilities[:, 1] = 1 - probabilities[:, 0]
    labels = np.array([0, 0, 0, 1, 1], np.uint8)
    assert label_errors.class_thresholds(probabilities, labels)[:2] == pytest.approx([0.7, 0.62])
    assert label_errors.is_confident_error(probabilities, labels).tolist() == [False, False, True, False, False]


def test_nearest_neighbour_has_another_label():
    pixels, labels = draw_digits(40, seed=0)
    images = InMemoryImages(pixels.reshape(40, 784), labels)
    rows, cosines = similarity.nearest_with_other_label(images.pixels, labels, images)
    assert (labels[rows] != labels).all()
    assert ((cosines > 0) & (cosines <= 1)).all()
