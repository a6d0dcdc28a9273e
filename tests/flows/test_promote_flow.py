"""Promotion by hand: one command to go back, a reason on record, and nothing that isn't whole comes into use."""

import json

import pytest
from samples import fill_version, newest_artifact

from artifacts.store.store import Store
from flows.promote_flow import check, promote_flow
from schemas.errors import InputError, StoreError


@pytest.fixture
def store(tmp_path):
    """Give a store of three versions, the second of them the champion, after the first."""
    store = Store(tmp_path / "store")
    for _ in range(3):
        with store.new_version() as (number, folder):
            fill_version(number, folder)
    for version in (1, 2):
        store.promote(version, over=store.champion(), run="test", reason="better")
    return store


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_server")
def test_back_to_the_one_before_and_forth_again(store):
    crowned = promote_flow(store=str(store.path), previous=True, reason="worse in the field")
    assert (crowned.version, crowned.over) == (1, 2)
    assert store.champion() == 1
    event = store.history()[-1]
    assert (event["event"], event["reason"]) == ("rollback", "worse in the field")
    assert "champion" in json.loads(newest_artifact("leaderboard").data)[-1]["in use"]
    assert promote_flow(store=str(store.path), previous=True).version == 2
    assert promote_flow(3, str(store.path), "by hand").version == 3
    assert [event["event"] for event in store.history()[2:]] == ["rollback", "promotion", "promotion"]


def test_a_version_that_was_touched_is_refused_before_anything_starts(store):
    (store.local_dir(3) / "model.keras").write_bytes(b"")
    with pytest.raises(StoreError, match=r"version 3: model\.keras was changed"):
        check(3, str(store.path), "by hand", previous=False)
    assert store.champion() == 2


@pytest.mark.parametrize(
    ("version", "previous", "reason", "told"),
    [
        (None, False, "r", "either --version or --previous is needed, and not both"),
        (1, True, "r", "not both"),
        (9, False, "r", "there is no version 9 with a card; there are 1, 2, 3"),
        (1, False, " ", "--reason is empty"),
    ],
)
def test_what_cannot_be_promoted_is_told(store, version, previous, reason, told):
    with pytest.raises(InputError, match=told):
        check(version, str(store.path), reason, previous=previous)


def test_without_a_champion_there_is_no_previous_one(tmp_path):
    with pytest.raises(InputError, match="no version was the champion before"):
        check(None, tmp_path, "r", previous=True)


def test_bad_input_is_one_line(run_flow, tmp_path):
    ended = run_flow("promote", "--version", "7", "--store", tmp_path / "store")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert "there is no version 7 with a card; there are none" in ended.stderr
    assert not (tmp_path / "store").exists()


def test_the_history_is_lines_of_json(store):
    lines = (store.path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["version"] for line in lines] == [1, 2]
