"""With --review, the service queues the images that a person should look at."""

import dataclasses

import numpy as np
import pytest

from artifacts.store import review
from artifacts.store.store import Store
from schemas.pixel_frame import pixels_of
from schemas.review import item_of
from tasks.prediction.stream import predict_pixels
from tasks.serving import review as serving_review
from tasks.serving.batches import BatchPredictor
from tasks.serving.metrics import Metrics
from tasks.serving.review import ReviewCollector
from tasks.validation import row_faults


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def doubtful(predictor):
    """Return a version that abstains from all images."""
    return dataclasses.replace(predictor, threshold=None)


@pytest.fixture
def pixels(digits):
    return pixels_of(digits)[:3].copy()


def abstained_items(store):
    queue = review.read(store)
    return sorted(queue.loc[queue["reason"] == "abstained", "item"])


def items_of(pixels):
    return sorted(item_of(int(digest)) for digest in row_faults.digests(pixels)[:, 0])


def test_images_that_the_service_abstained_from_are_queued(champion, doubtful, pixels, store):
    collector = ReviewCollector(store)
    predictor = BatchPredictor(type(champion)(doubtful), Metrics(), collector)
    predictor.submit(np.concatenate([pixels, 0 * pixels])).result(10)  # blank ones have no prediction
    collector.write()
    assert abstained_items(store) == items_of(pixels)


def test_entries_are_made_once_for_all_batches_of_a_version(doubtful, pixels, store, monkeypatch):
    """They take 20 ms, in which the thread that predicts would answer nobody."""
    collector, calls, of_predictions = ReviewCollector(store), [], serving_review.of_predictions
    monkeypatch.setattr(serving_review, "of_predictions", lambda *each: calls.append(each) or of_predictions(*each))
    for image in pixels[[0, 1, 1]]:
        collector.add(predict_pixels(image[None], doubtful)[0], doubtful)
    assert not calls
    newer = dataclasses.replace(doubtful, version=4)
    collector.add(predict_pixels(pixels[1:], newer)[0], newer)
    collector.write()
    assert [len(batch.pixels) for batch, *_ in calls] == [2, 2]
    assert abstained_items(store) == items_of(pixels)


def test_a_bounded_number_of_images_is_kept(doubtful, pixels, store, monkeypatch):
    monkeypatch.setattr(serving_review, "MAX_IMAGES", 2)
    collector = ReviewCollector(store)
    for _ in range(2):
        collector.add(predict_pixels(pixels, doubtful)[0], doubtful)
    collector.write()
    assert abstained_items(store) == items_of(pixels[:2])


def test_a_store_that_cannot_be_written_is_logged(store, caplog, monkeypatch):
    collector = ReviewCollector(store)
    monkeypatch.setattr(review, "add", lambda *_: 1 / 0)
    collector.write()
    assert "weren't added to the review queue" in caplog.text
