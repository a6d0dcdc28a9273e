"""The service follows promotions, and serves no version that can't be verified."""

import dataclasses

import pytest
from samples import promote, publish

from artifacts.store.store import Store
from schemas.errors import StoreError
from tasks.prediction import stream
from tasks.serving.champion import Champion


@pytest.fixture
def store(tmp_path, monkeypatch, predictor):
    """Return a store with two versions, the first one champion, whose models needn't be loaded."""
    store = Store(tmp_path / "store")
    publish(store, promoted=True)
    publish(store, "g")

    def load(store, version):
        store.check_intact(version)
        return dataclasses.replace(predictor, version=version)

    monkeypatch.setattr(stream, "predictor", load)
    return store


def test_a_promotion_and_a_rollback_are_followed(store):
    champion = Champion(Store(store.uri))
    assert champion.current.predictor.version == champion.current.card["version"] == 1
    for version in (2, 1):
        promote(store, version)
        champion.refresh()
        assert champion.current.predictor.version == champion.current.card["version"] == version


def test_a_champion_that_was_changed_isnt_served(store):
    champion = Champion(Store(store.uri))
    promote(store, 2)
    model = store.local_dir(2) / "model.keras"
    content = model.read_bytes()
    model.write_bytes(b"other weights")
    champion.refresh()
    assert champion.current.predictor.version == 1
    assert "model.keras was changed" in champion.problem
    model.write_bytes(content)
    champion.refresh()
    assert (champion.current.predictor.version, champion.problem) == (2, "")


def test_without_a_champion_no_service_starts(tmp_path):
    with pytest.raises(StoreError, match="there is no champion"):
        Champion(Store(tmp_path / "store"))
