"""Recipes: presets, overrides and their bounds."""

import pytest
from pydantic import ValidationError

from schemas.errors import InputError
from schemas.recipe import PRESETS, Overrides, Recipe


def test_every_field_of_the_recipe_can_be_overridden_and_is_described():
    assert set(Overrides.model_fields) == set(Recipe.model_fields)
    assert all(field.description for field in Overrides.model_fields.values())


@pytest.mark.parametrize("preset", PRESETS)
def test_without_overrides_a_preset_is_itself(preset):
    assert Overrides().applied_to(preset) == PRESETS[preset]["mlp"]


def test_an_override_changes_its_field_alone():
    assert Overrides(epochs=3).applied_to("fast") == PRESETS["fast"]["mlp"].model_copy(update={"epochs": 3})


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"epochs": -1},
        {"batch_size": 0},
        {"batch_size": -32},
        {"learning_rate": 0},
        {"validation_fraction": -0.1},
        {"validation_fraction": 0.51},
        {"rotation": 90},
        {"seed": -1},
        {"rotation": float("nan")},
        {"network": "transformer"},
        {"epoch": 3},
    ],
)
def test_refuses_what_is_out_of_bounds(bad):
    with pytest.raises(ValidationError):
        Overrides(**bad)


def test_patience_without_validation_is_refused():
    with pytest.raises(InputError, match="validation fraction above 0"):
        Overrides(patience=2, validation_fraction=0).applied_to("fast")


def test_each_network_has_its_own_tuning():
    assert Overrides(network="cnn").applied_to("best") == PRESETS["best"]["cnn"]
    assert Overrides(network="cnn", epochs=2).applied_to("best").epochs == 2


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_for_the_network_that_they_stand_under(preset):
    assert {network: recipe.network for network, recipe in PRESETS[preset].items()} == {"mlp": "mlp", "cnn": "cnn"}
