"""The review flow: from the queue to a folder, and with what a person moved to a version that says so."""

import shutil

import numpy as np
import pandas as pd
import pytest
from samples import QUICK, draw_digits, newest_artifact

from artifacts.store import review, version_files
from artifacts.store.store import Store
from flows.review_flow import check, review_flow
from flows.train_flow import train_flow
from schemas.errors import InputError
from schemas.review import COLUMNS, item_of
from tasks.inbox import folder
from tasks.validation import row_faults
from tasks.verification import rescore

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


def test_pictures_that_were_moved_are_trained_on_and_reported(tiny_npz, tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "STABLE_SECONDS", -60.0)
    store, inbox, output = Store(tmp_path / "store"), tmp_path / "inbox", tmp_path / "review"
    image = draw_digits(10, seed=77)[0][4]
    item = item_of(int(row_faults.digests(image.reshape(1, -1))[0, 0]))
    entry = (item, "abstained", 0.5, "", "scan.png", -1, 9, "unsure", image.tobytes())
    review.add(store, pd.DataFrame([dict(zip(COLUMNS, entry, strict=True))]))

    result = review_flow(output=output, inbox=str(inbox), store=store.uri)
    assert (result.n_waiting, result.n_reasons["abstained"]) == (1, 1)
    assert "data:image/png;base64," in newest_artifact("review-queue").data
    with pytest.raises(InputError, match="exists; move it into the inbox"):
        check(output=output, inbox="", store=store.uri)
    (picture,) = output.glob("*.png")
    picture.rename(output / "4" / picture.name)
    inbox.mkdir()
    shutil.move(output, inbox)

    published = train_flow(str(tiny_npz), store=store.uri, recipe="plain", overrides=QUICK, inbox=str(inbox))
    card = store.card(published.version)
    (corrected,) = card["data"]["corrections"]
    assert (corrected["file"], corrected["by"], corrected["added"]) == ("review", inbox.owner(), 1)
    version = store.local_dir(published.version)
    assert "| review | " in (version / "report.md").read_text()
    dataset = rescore.read_data(card["data"], store.shards, version_files.read_corrections(version))
    assert dataset.fingerprint == card["data"]["fingerprint"]
    assert dataset.train.labels[-1] == 4
    assert np.array_equal(dataset.train.read(slice(600, 601))[0], image.reshape(-1))
    assert review_flow(output=output, inbox=str(inbox), store=store.uri).n_waiting == 0


def test_an_empty_queue_is_reported_and_writes_no_folder(tmp_path):
    result = review_flow(output=tmp_path / "review", store=str(tmp_path / "store"))
    assert (result.n_waiting, sum(result.n_reasons.values())) == (0, 0)
    assert "0 images" in newest_artifact("review-queue").data
    assert not (tmp_path / "review").exists()
