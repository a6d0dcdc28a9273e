"""The leaderboard tells the last versions apart: who is in use, who was, who never."""

import pytest
from samples import publish

from artifacts.reports import leaderboard, plots
from artifacts.store.store import Store
from schemas.recipe import PRESETS


@pytest.fixture
def store(tmp_path):
    """Return a store of four versions: 1 and 3 were promoted, then 1 again; the card of 4 is missing."""
    store = Store(tmp_path / "store")
    for _ in range(4):
        publish(store)
    store.promote(1, replaced=None, run="test", reason="the first")
    store.promote(3, replaced=1, run="test", reason="better")
    store.promote(1, replaced=3, run="test", reason="worse in the field")
    (store.local_dir(4) / "card.json").unlink()
    return store


def test_each_version_has_a_row_and_the_champion_is_marked(store):
    rows = [summary.row for summary in leaderboard.summaries(store, store.history())]
    assert [row["version"] for row in rows] == [1, 2, 3]
    assert [row["in use"] for row in rows] == ["champion", "", ""]
    assert [row["decision"] for row in rows] == ["promoted then rolled back to", "not promoted", "promoted"]
    assert {row["accuracy"] for row in rows} == {"99.00%"}


def test_recipe_is_the_most_similar_preset_and_what_differs():
    recipe = PRESETS["best"].recipes["cnn"].model_copy(update={"epochs": 3, "seed": 1}).model_dump(mode="json")
    assert leaderboard._recipe({"recipe": recipe}) == "best cnn, epochs 3, seed 1"
    assert leaderboard._recipe({"recipe": recipe, "recipe_name": "best"}) == "best cnn, epochs 3, seed 1"
    assert leaderboard._recipe({"recipe": recipe, "recipe_name": "own.toml"}) == "own.toml cnn"


def test_promotions_and_rollbacks_are_listed_newest_first_with_reasons(store):
    report = leaderboard.history_report(store.history(), lambda name: f"{name}.png")
    lines = [line.split(" | ")[1:] for line in report.splitlines() if "promotion" in line or "rollback" in line][1:]
    assert lines == [
        ["1", "rollback", "worse in the field |"],
        ["3", "promotion", "better |"],
        ["1", "promotion", "the first |"],
    ]
    assert "](history.png)" in report


def test_the_plot_rings_the_champion_and_names_a_rollback(store):
    (axes,) = plots.history_plot(leaderboard.summaries(store, store.history())).axes
    notes = {text.get_text(): text.xy[0] for text in axes.texts if text.get_text()}
    assert notes == {"champion\nrolled back to": 1}
    rings = [line for line in axes.lines if line.get_markersize() > 10]
    assert [line.get_xdata()[0] for line in rings] == [1]


def test_an_empty_store_has_an_empty_board(tmp_path):
    assert leaderboard.summaries(Store(tmp_path / "none"), []) == []
    assert "None so far." in leaderboard.history_report([], str)
