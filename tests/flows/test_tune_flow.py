"""The tune flow, on tiny data: its report, the recipe file, and a search that finds nothing."""

import pytest
from samples import newest_artifact

from artifacts import recipe_file
from flows.tune_flow import tune_flow
from schemas.recipe import Overrides

pytestmark = pytest.mark.prefect
SLOW_START = Overrides(epochs=2, batch_size=64, learning_rate=0.0004)


@pytest.mark.slow
def test_better_recipe_is_written_to_a_file_and_reported(prefect_server, tiny_npz, tmp_path):
    output, store = tmp_path / "tuned.toml", str(tmp_path / "store")
    arguments = {"store": store, "recipe": "plain", "overrides": SLOW_START, "output": output}
    state = tune_flow(str(tiny_npz), trials=2, **arguments, return_state=True)
    assert state.name == "Tuned"
    tuning = state.result()
    assert [trial.recipe == tuning.start for trial in tuning.trials] == [True, False]
    assert tuning.test.gain > 0
    assert Overrides().applied_to(recipe_file.read(str(output))) == tuning.winner
    report = newest_artifact("tuning-report").data
    for part in ("# A better recipe: tiny", "## Confirmation", "## Trials", "data:image/png", str(output)):
        assert part in report


@pytest.mark.slow
def test_search_that_finds_nothing_better_says_so_and_writes_nothing(prefect_server, tiny_npz, tmp_path):
    output, store = tmp_path / "tuned.toml", str(tmp_path / "store")
    arguments = {"store": store, "recipe": "plain", "overrides": SLOW_START, "output": output}
    state = tune_flow(str(tiny_npz), trials=1, **arguments, return_state=True)
    assert state.name == "NotBetter"
    assert "no recipe is better than what you have" in state.message
    assert not output.exists()
    assert "# Not better than what you have" in newest_artifact("tuning-report").data
