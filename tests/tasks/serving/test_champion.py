"""The service follows promotions, and serves no version that can't be verified."""

from types import SimpleNamespace

import pytest
from samples import fill_version, promote

from artifacts.store import version_files
from artifacts.store.store import Store
from schemas.errors import StoreError
from tasks.inference import loader
from tasks.serving.champion import Champion


@pytest.fixture
def store(tmp_path, monkeypatch, predictor):
    """Return a store with two versions, the first one champion, whose models needn't be loaded."""
    store = Store(tmp_path / "store")
    for promoted in (True, False):
        with store.new_version() as (number, folder):
            version_files.write_profile(folder / version_files.PROFILE, predictor.profile)
            decision = {"after_event": store.state().event, "champion": store.champion(), "promoted": promoted}
            card = fill_version(number, folder, **decision) | {"abstention": {"threshold": 0.5, "level": 0.99}}
            assert store.publish(number, folder, card, keep=10)
    monkeypatch.setattr(loader, "load_version", lambda _folder, _version: predictor.probabilities)
    return store


def test_a_promotion_and_a_rollback_are_followed(store):
    champion = Champion(Store(store.uri))
    assert champion.current.predictor.version == champion.current.card["version"] == 1
    for version in (2, 1):
        promote(store, version)
        champion.refresh()
        assert champion.current.predictor.version == champion.current.card["version"] == version


def test_the_champion_is_followed_until_the_service_ends(store):
    waits = []

    def wait(seconds):
        """Promote version 2 during the first wait, and end the service after the second one."""
        waits.append(seconds)
        if len(waits) == 1:
            promote(store, 2)
        return len(waits) == 2

    champion = Champion(Store(store.uri))
    champion.follow(3.0, SimpleNamespace(wait=wait))
    assert (champion.current.predictor.version, waits) == (2, [3.0, 3.0])


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


def test_a_version_that_was_changed_after_it_was_served_isnt_served_again(store):
    champion = Champion(Store(store.uri))
    promote(store, 2)
    champion.refresh()
    promote(store, 1)
    (store.local_dir(1) / "model.keras").write_bytes(b"other weights")
    champion.refresh()
    assert champion.current.predictor.version == 2
    assert "model.keras was changed" in champion.problem


def test_a_version_that_cant_be_loaded_doesnt_end_the_following(store, monkeypatch, predictor):
    champion = Champion(Store(store.uri))
    promote(store, 2)
    with monkeypatch.context() as patch:
        patch.setattr(loader, "load_version", lambda _folder, _version: int("x"))
        champion.refresh()
    assert (champion.current.predictor.version, "invalid literal" in champion.problem) == (1, True)
    champion.refresh()
    assert (champion.current.predictor.version, champion.problem) == (2, "")


def test_without_a_champion_no_service_starts(tmp_path):
    with pytest.raises(StoreError, match="there are no versions"):
        Champion(Store(tmp_path / "store"))
