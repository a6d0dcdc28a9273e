"""Damaged, edited and copied files of a store, in a folder and in an object store: named, kept, and without effect."""

import json
import shutil

import pytest
from samples import DAMAGED, promote, publish, store_of_three

from artifacts.reports import leaderboard
from artifacts.store.store import Store
from schemas.errors import StoreError


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path) -> Store:
    return store_of_three(tmp_path / "store" if request.param == "folder" else request.getfixturevalue("memory"))


def put(store: Store, path: str, content: bytes) -> None:
    folder, _, name = path.rpartition("/")
    store._root.child(folder).write(name, content)


def edit(store: Store, path: str, fields: dict[str, object]) -> None:
    """Overwrite fields of a JSON file; None removes a field."""
    content = json.loads(store._root.read(path)) | fields
    kept = {name: value for name, value in content.items() if value is not None}
    put(store, path, json.dumps(kept).encode())


def check_usable(store: Store) -> Store:
    """Check that a run can publish, promote and compare versions."""
    store = Store(store.uri).recover()
    number = publish(store, promoted=True)
    promote(store, publish(store))
    assert (store.champion(), store.state().previous_champion) == (number + 1, number)
    assert {number, number + 1} <= {summary.version for summary in leaderboard.summaries(store, store.history())}
    return store


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_newest_event_is_named_and_kept_and_counts_for_nothing(store, content):
    store._root.write("history/000005.json", content)
    assert (Store(store.uri).champion(), Store(store.uri).state().event) == (1, 5), "as before that event"
    (line,) = Store(store.uri).ignored()
    assert line.startswith(f"{store.uri}/history/000005.json: not an event (")
    assert line.endswith("); restore it from a backup; ignored")
    assert "\n" not in line
    check_usable(store)
    assert store._root.read("history/000005.json") == content


@pytest.mark.parametrize(
    "fields",
    [
        {"state": None},
        {"state": {"champion": "2"}},
        {"state": []},
        {"version": "2"},
        {"time": None},
        {"reason": 5},
        {"number": "5"},
        {"card": {"version": 2}},
    ],
)
def test_event_with_unusable_fields_is_ignored(store, fields):
    edit(store, "history/000005.json", fields)
    assert Store(store.uri).champion() == 1
    assert f"not an event ({next(iter(fields))}" in Store(store.uri).ignored()[0]
    check_usable(store)


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_earlier_event_changes_only_the_list(store, content):
    store._root.write("history/000003.json", content)
    assert [event["version"] for event in Store(store.uri).history()] == [1, 2, 1, 2]
    assert Store(store.uri).champion() == 2
    assert "history/000003.json: not an event" in Store(store.uri).faults(3)[0]
    check_usable(store)


def test_store_without_an_intact_event_goes_on(store):
    for number in range(1, 6):
        store._root.write(f"history/{number:06}.json", b"null")
    assert (Store(store.uri).champion(), len(Store(store.uri).ignored())) == (None, 8), "events and their versions"
    assert publish(check_usable(store)) == 6


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_card_is_named_and_the_others_are_used(store, content):
    put(store, "versions/2/card.json", content)
    (line,) = Store(store.uri).ignored()
    assert line.startswith("version 2: card.json can't be read (")
    assert "\n" not in line
    assert store.find_by_fingerprint("f") == 3
    check_usable(store)


@pytest.mark.parametrize("field", ["version", "made", "run", "fingerprint", "files", "figures", "data", "recipe"])
def test_card_without_a_field_is_named(store, field):
    edit(store, "versions/3/card.json", {field: None})
    with pytest.raises(StoreError, match=rf"^version 3: card\.json can't be read \({field}: Field required\)$"):
        promote(store, 3)


@pytest.mark.parametrize("content", [*DAMAGED, b'{"layout": "2"}'])
def test_damaged_layout_file_is_named_before_a_training(store, content):
    store._root.write("store.json", content)
    with pytest.raises(StoreError, match=r"store\.json: can't be read \(.*\); restore it, or remove it, and the next"):
        Store(store.uri).champion()
    store._root.remove("store.json")
    assert Store(store.uri).champion() == 2
    check_usable(store)
    assert Store(store.uri).faults(3) == []


def test_lost_layout_file_is_written_again_with_the_same_id(store):
    content = store._root.read("store.json")
    store._root.remove("store.json")
    check_usable(store)
    assert store._root.read("store.json") == content


def test_store_of_an_earlier_release_without_ids_is_used(store):
    for number in range(1, 6):
        edit(store, f"history/{number:06}.json", {"store": None, "number": None})
    for number in range(1, 4):
        edit(store, f"versions/{number}/card.json", {"store": None})
        edit(store, f"history/{number:06}.json", {"card": json.loads(store._root.read(f"versions/{number}/card.json"))})
    assert Store(store.uri).ignored() == []
    assert check_usable(store).faults(3) == []


# Files of other stores


@pytest.fixture
def other(tmp_path) -> Store:
    """Return another store, with more versions, each the champion in its turn."""
    other = Store(tmp_path / "other")
    for _ in range(7):
        publish(other, promoted=True)
    return other


def copy_version(other: Store, version: int, store: Store, name: str) -> None:
    for file in other.local_dir(version).iterdir():
        put(store, f"versions/{name}/{file.name}", file.read_bytes())


@pytest.mark.parametrize("name", ["3", "4", "7", "20260101"])
def test_version_of_another_store_is_named_kept_and_never_used(store, other, name):
    store._versions.remove_folder(name)
    copy_version(other, 7, store, name)
    theirs = other.card(7)["store"]
    line = f"version {name}: of another store, whose id is {theirs}; a version can't be copied into a store; use it in "
    assert Store(store.uri).ignored() == [f"{line}its own, with --store; ignored"]
    with pytest.raises(StoreError, match=f"^{line}"):
        promote(store, int(name))
    check_usable(store)
    publish(store, keep=1)
    assert store._versions.child(name).names(), "nobody asked to remove it"
    assert store.state().last_version < 10, "it decides no number"


def test_version_without_an_id_is_used_only_if_the_history_has_it(store):
    shutil.copytree(store.local_dir(3), copied := store._root.scratch() / "copied")
    card = json.loads((copied / "card.json").read_text()) | {"version": 9, "decision": None}
    del card["store"]
    for file in copied.iterdir():
        put(store, f"versions/9/{file.name}", file.read_bytes())
    put(store, "versions/9/card.json", json.dumps(card).encode())
    shutil.rmtree(copied)
    assert "version 9: not in this store's history" in Store(store.uri).ignored()[0]
    with pytest.raises(StoreError, match=r"version 9: card\.json differs from the history"):
        promote(store, 9)
    assert 9 not in store.versions()


def test_event_of_another_store_is_ignored(store, other):
    content = other._root.read("history/000006.json")
    store._root.write("history/000006.json", content)
    assert Store(store.uri).champion() == 2
    assert "history/000006.json: of another store" in Store(store.uri).ignored()[0]
    check_usable(store)
    assert store._root.read("history/000006.json") == content


@pytest.mark.parametrize("number", [6, 99])
def test_copy_of_an_event_under_another_number_is_ignored(store, number):
    content = store._root.read("history/000004.json")  # promotes version 1
    store._root.write(f"history/{number:06}.json", content)
    store._root.remove("history/newest")
    assert Store(store.uri).champion() == 2
    assert f"history/{number:06}.json: a copy of event 4" in Store(store.uri).ignored()[0]
    check_usable(store)
    assert store._root.read(f"history/{number:06}.json") == content


@pytest.mark.parametrize("name", ["4", "5", "20260101"])
def test_folder_that_somebody_made_is_skipped(store, name):
    put(store, f"versions/{name}/notes.txt", b"")
    assert publish(store) in {4, 5}
    assert publish(store) in {5, 6}
    assert store._versions.child("20260101").names() == (["notes.txt"] if name == "20260101" else [])
    assert store.state().last_version in {5, 6}
