"""Promotion by hand: one command to go back, a reason on record, and only intact versions."""

import json

import pytest
from samples import QUICK, newest_artifact, publish, store_of_three

from artifacts.store.store import Store
from flows.promote_flow import check, promote_flow
from schemas.errors import InputError, StoreError


@pytest.fixture
def store(tmp_path):
    return store_of_three(tmp_path / "store")


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_server")
def test_previous_champion_is_promoted_and_the_next_again(store):
    promotion = promote_flow(store=store.uri, previous=True, reason="worse in the field")
    assert (promotion.version, promotion.replaced) == (1, 2)
    assert store.champion() == 1
    event = store.history()[-1]
    assert (event["event"], event["reason"]) == ("rollback", "worse in the field")
    assert "champion" in json.loads(newest_artifact("leaderboard").data)[-1]["in use"]
    assert promote_flow(store=store.uri, previous=True).version == 2
    assert promote_flow(version=3, store=store.uri).version == 3
    assert [event["event"] for event in store.history()[5:]] == ["rollback", "promotion", "promotion"]


def test_tampered_version_is_refused_before_anything_starts(store):
    (store.local_dir(3) / "model.keras").write_bytes(b"")
    with pytest.raises(StoreError, match=r"version 3: model\.keras was changed"):
        check(version=3, previous=False, reason="by hand", store=store.uri)
    assert store.champion() == 2


@pytest.mark.parametrize(
    ("version", "previous", "reason", "message"),
    [
        (0, False, "r", "choose a version with --version or --previous$"),
        (1, True, "r", "not both"),
        (9, False, "r", "there is no version 9; versions: 1, 2, 3"),
        (1, False, " ", "--reason is empty"),
    ],
)
def test_bad_parameters_are_refused(store, version, previous, reason, message):
    with pytest.raises(InputError, match=message):
        check(version=version, previous=previous, reason=reason, store=store.uri)


def test_previous_champion_of_an_empty_store_is_refused(tmp_path):
    with pytest.raises(InputError, match="no version was the champion before"):
        check(version=0, previous=True, reason="r", store=str(tmp_path))


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_server")
def test_training_that_loses_a_race_compares_again_with_the_new_champion(store_copy, tiny_npz, monkeypatch):
    from flows.train_flow import train_flow

    arguments = {"source": str(tiny_npz), "store": str(store_copy), "recipe": "plain", "retrain": True}
    original, rivals = Store.publish, []

    def late(self, *args):
        monkeypatch.undo()
        rivals.append(publish(Store(self.uri), promoted=True))
        self.mark_reported(rivals[0])
        return original(self, *args)

    monkeypatch.setattr(Store, "publish", late)
    loser = train_flow(**arguments, overrides=QUICK, force="better than version 1")
    store = Store(arguments["store"])
    assert rivals == [3]
    assert (loser.version, loser.promoted, store.champion(), store.state().previous_champion) == (4, True, 4, 3)
    assert store.card(4)["decision"]["champion"] == 3
    assert store.versions() == [1, 3, 4]
    assert [(event["event"], event["version"]) for event in store.history()] == [
        ("promotion", 1), ("promotion", 3), ("promotion", 4),
    ]  # fmt: skip


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_server")
def test_going_back_stops_if_another_version_became_the_champion(store, monkeypatch):
    """Version 4 becomes the champion while `--previous` is under way."""
    original = Store.promote

    def late(self, *args, **kwargs):
        monkeypatch.undo()
        publish(Store(self.uri), promoted=True)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Store, "promote", late)
    with pytest.raises(StoreError, match="version 4 has become the champion meanwhile"):
        promote_flow(store=store.uri, previous=True)
    assert store.champion() == 4
