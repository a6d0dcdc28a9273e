"""The review queue: what is added by audits and predictions, in which order it is shown, and as which folder."""

import io
from types import SimpleNamespace
from unittest.mock import Mock
from uuid import uuid4

import httpx
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from prefect.logging import disable_run_logger
from samples import draw_digits, lying_png

from artifacts.reports.review_report import review_report
from artifacts.store import review
from artifacts.store.store import Store
from schemas.errors import InputError, StoreError
from schemas.images import InMemoryImages
from schemas.prediction import PredictionBatch, Predictor
from schemas.results import InboxFile
from schemas.review import COLUMNS, Correction, Review
from tasks.inbox import corrections
from tasks.review import check_output
from tasks.review import review as review_task
from tasks.reviewing import entries, queue
from tasks.validation import profiles

PIXELS, LABELS = draw_digits(10, seed=6)
PIXELS = PIXELS.reshape(10, 784)


@pytest.fixture
def batch():
    """Return predictions: of rows 1 and 2 abstained, 2 and 3 unlike training, 4 contradicted, 5 without an answer."""
    rows = np.arange(10)
    return PredictionBatch(
        items=pd.Index([f"{row}.png" for row in rows]),
        pixels=PIXELS,
        label=np.where(rows == 4, 9, LABELS).astype(np.uint8),
        confidence=np.where(rows == 1, 0.3, np.where(rows == 2, 0.4, 0.9)).astype(np.float32),
        second=np.zeros(10, np.uint8),
        abstained=np.isin(rows, [1, 2, 5]),
        unlike_training=np.isin(rows, [2, 3, 5]),
        distance=(rows + 1).astype(np.float32),
        fault=np.where(rows == 5, "blank", "").astype(object),
        reason=np.where(np.isin(rows, [1, 2, 3, 5]), "in 2 pieces", "").astype(object),
        true_label=np.where(rows == 4, 4, -1).astype(np.int16),
    )


@pytest.fixture
def predictor():
    return Predictor(3, 0.5, profiles.load_embedded(), lambda pixels: np.eye(10, dtype=np.float32)[[9] * len(pixels)])


@pytest.fixture
def of_batch(batch, predictor):
    return entries.of_predictions(batch, predictor, "scans")


def test_doubtful_and_contradicted_predictions_are_queued(of_batch):
    found = of_batch[["origin", "reason", "label", "proposed"]].itertuples(index=False, name=None)
    assert list(found) == [
        ("scans 4.png", "disagreement", 4, 9),
        ("scans 1.png", "abstained", -1, 1),
        ("scans 2.png", "abstained", -1, 2),
        ("scans 3.png", "outlier", -1, 3),
        ("scans 2.png", "outlier", -1, 2),
    ]
    assert of_batch["text"].tolist() == ["version 3 is 90.0% sure of 9", *["in 2 pieces"] * 4]


def test_the_worst_take_turns_and_corrected_ones_are_left_out(of_batch):
    ranked = queue.rank(of_batch, [])
    assert ranked["origin"].tolist() == ["scans 4.png", "scans 1.png", "scans 3.png", "scans 2.png"]
    assert ranked["reasons"].tolist() == ["disagreement", "abstained", "outlier", "abstained, outlier"]
    assert queue.rank(of_batch, ranked["item"].head(3))["origin"].tolist() == ["scans 2.png"]


def test_labels_that_a_version_contradicts_are_queued(predictor):
    parts = {"test": InMemoryImages(PIXELS, LABELS)}
    dataset = SimpleNamespace(read_items=None, validation=SimpleNamespace(corrections=()))
    found = entries.of_version(dataset, parts, predictor)
    assert found["origin"].tolist() == [str(row) for row in range(9)]
    assert set(found["part"]) == {"test"}
    assert found["text"][0] == "version 3 is 100.0% sure of 9"


def test_a_collector_keeps_the_worst_of_all_batches(of_batch, monkeypatch):
    monkeypatch.setattr(entries, "MAX_ENTRIES", 1)
    collector = entries.Collector()
    collector.add(of_batch)
    collector.add(of_batch.assign(score=0.0))  # newer, of the same images
    collector.add(of_batch[of_batch["origin"] == "scans 2.png"])
    kept = collector.entries
    assert dict(zip(kept["reason"], kept["origin"], strict=True)) == {
        "abstained": "scans 2.png",
        "outlier": "scans 2.png",
        "disagreement": "scans 4.png",
    }


def test_the_folder_has_pictures_to_move_and_a_table(of_batch, tmp_path):
    queue.write(queue.rank(of_batch, []), tmp_path / "review")
    names = sorted(path.name for path in (tmp_path / "review").glob("*.png"))
    assert names[0].startswith("0001-given4-or9-image-")
    assert names[1].startswith("0002-predicted1-image-")
    assert {*map(str, range(10)), "none"} <= {path.name for path in (tmp_path / "review").iterdir()}
    table = pd.read_csv(tmp_path / "review" / "review.csv", keep_default_na=False)
    assert table["given"].astype(str).tolist() == ["4", "", "", ""]
    with Image.open(tmp_path / "review" / names[0]) as picture:
        assert (np.asarray(picture)[::8, ::8] == PIXELS[4].reshape(28, 28)).all()
    (tmp_path / "review" / names[0]).rename(tmp_path / "review" / "4" / names[0])
    assert [(one.item, one.label) for one in corrections.read(tmp_path / "review")] == [(table["item"][0], 4)]


def test_a_retry_after_an_outage_of_the_server_writes_the_folder(of_batch, tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    review.add(store, of_batch)
    publish = Mock(side_effect=[httpx.ConnectError("the server is down"), uuid4()])
    monkeypatch.setattr("tasks.review.create_markdown_artifact", publish)
    with disable_run_logger():
        with pytest.raises(httpx.ConnectError):
            review_task.fn(store, "", tmp_path / "review", 10)
        assert review_task.fn(store, "", tmp_path / "review", 10).n_waiting == 4
    assert len(list((tmp_path / "review").glob("*.png"))) == 4


def test_corrections_that_cannot_be_read_are_left_out_with_a_warning(tmp_path):
    name, warnings = "image-" + "0" * 16, []
    (tmp_path / "done" / "bad" / "4").mkdir(parents=True)
    (tmp_path / "done" / "bad" / "4" / f"{name}.png").write_bytes(lying_png(60_000))
    (tmp_path / "good.csv").write_text(f"item,label\n{name},4\n")
    assert [one.file for one in queue.read_corrections(tmp_path, warnings.append)] == ["good.csv"]
    (warning,) = warnings
    assert warning.startswith(f"bad/4/{name}.png: was changed: ")
    assert warning.endswith("; left out")


def test_an_existing_folder_is_never_overwritten(tmp_path):
    with pytest.raises(InputError, match="exists; move it into the inbox or away"):
        check_output(tmp_path)


@pytest.mark.parametrize("kind", ["folder", "object store"])
def test_the_queue_is_kept_in_folders_and_object_stores(kind, of_batch, tmp_path, request):
    store = Store(tmp_path / "store" if kind == "folder" else f"{request.getfixturevalue('bucket')}/store")
    assert review.read(store).empty
    review.add(store, of_batch)
    review.add(store, of_batch.head(0))
    assert len(store.review.names()) == 1
    assert review.read(store).equals(of_batch[[*COLUMNS]])
    correction = Correction(of_batch["item"][0], 4, "Ada", "", "a.csv")
    (file,) = review.complete(store, [InboxFile(tmp_path / "a.csv", is_accepted=True, corrections=(correction,))])
    assert file.corrections[0].pixels == PIXELS[4].tobytes()


def test_many_files_become_one_without_repeated_entries(tmp_path, of_batch, monkeypatch):
    store = Store(tmp_path / "store")
    monkeypatch.setattr(review, "MAX_FILES", 3)
    half = len(of_batch) // 2
    for added in (of_batch.head(half), of_batch, of_batch.tail(half), of_batch):
        review.add(store, added)
    (name,) = store.review.names()
    assert len(pd.read_parquet(io.BytesIO(store.review.read(name)))) == len(of_batch)
    order = ["item", "reason"]
    assert (
        review.read(store)
        .sort_values(order, ignore_index=True)
        .equals(of_batch[[*COLUMNS]].sort_values(order, ignore_index=True))
    )


def test_a_damaged_file_of_the_queue_is_named(tmp_path):
    store = Store(tmp_path / "store")
    store.review.create("damaged.parquet", b"PAR1")
    with pytest.raises(StoreError, match=r"damaged\.parquet: can't be read; remove it"):
        review.read(store)


def test_the_report_has_reasons_pictures_and_corrections(of_batch):
    done = Correction("image-" + "0" * 16, 4, "Ada", "2026-01-01", "a.csv", outcome="added")
    text = review_report(
        Review(
            "store",
            queue.rank(of_batch, []),
            4,
            {"label": 0, "disagreement": 1, "abstained": 2, "near-duplicate": 0, "outlier": 2},
            (done,),
            "review",
        ),
        lambda name: f"{name}.png",
    )
    assert "| abstained | the version that predicted it abstained | 2 |" in text
    assert "![The first images](review.png)" in text
    assert "| a.csv | Ada | 2026-01-01 | 1 |" in text
