"""With --review, the service queues the images that a person should look at."""

import dataclasses

from artifacts.store import review
from artifacts.store.store import Store
from schemas.pixel_frame import pixels_of
from schemas.review import item_of
from tasks.serving.batches import BatchPredictor
from tasks.serving.metrics import Metrics
from tasks.serving.review import ReviewCollector
from tasks.validation import row_faults


def test_images_that_the_service_abstained_from_are_queued(champion, digits, tmp_path):
    store, pixels = Store(tmp_path / "store"), pixels_of(digits)[:3].copy()
    always = dataclasses.replace(champion.current.predictor, threshold=None)
    collector = ReviewCollector(store)
    predictor = BatchPredictor(type(champion)(always), Metrics(), collector)
    with collector.writing():
        predictor.submit(pixels).result(10)
        predictor.submit(pixels[:1]).result(10)  # its answer follows the first's entries
    queued = review.read(store)
    expected = {item_of(int(digest)) for digest in row_faults.digests(pixels)[:, 0]}
    assert set(queued.loc[queued["reason"] == "abstained", "item"]) == expected


def test_a_store_that_cannot_be_written_is_logged(tmp_path, caplog, monkeypatch):
    collector = ReviewCollector(Store(tmp_path / "store"))
    monkeypatch.setattr(review, "add", lambda *_: 1 / 0)
    collector.write()
    assert "weren't added to the review queue" in caplog.text
