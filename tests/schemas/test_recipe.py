"""Recipes: presets, overrides and their bounds."""

import pytest
from pydantic import ValidationError

from schemas.errors import InputError
from schemas.networks import NETWORKS
from schemas.recipe import PRESETS, Overrides, Recipe


def test_every_field_of_the_recipe_can_be_overridden():
    assert set(Overrides.model_fields) == set(Recipe.model_fields)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("preset", PRESETS)
def test_overriding_only_the_network_gives_its_preset(preset, network):
    recipe = Overrides(network=network).applied_to(preset)
    assert recipe == PRESETS[preset].recipes[network]
    assert recipe.network == network


def test_without_overrides_the_preset_is_that_of_the_mlp():
    assert Overrides().applied_to("best") == PRESETS["best"].recipes["mlp"]


def test_an_override_changes_its_field_alone():
    assert Overrides(epochs=3).applied_to("fast") == PRESETS["fast"].recipes["mlp"].model_copy(update={"epochs": 3})


@pytest.mark.parametrize("preset", PRESETS)
def test_mnist_is_trained_with_the_preset_as_it_is(preset):
    assert Overrides().applied_to(preset, n_rows=60_000) == PRESETS[preset].recipes["mlp"]


@pytest.mark.parametrize(
    ("n_rows", "epochs", "batch_size", "validation_fraction"),
    [(200, 300, 200, 0), (900, 300, 900, 0), (940, 300, 893, 0.05), (4250, 75, 1024, 0.05), (30_000, 14, 1024, 0.05)],
)
def test_few_rows_get_enough_steps(n_rows, epochs, batch_size, validation_fraction):
    recipe = Overrides().applied_to("fast", n_rows)
    assert (recipe.epochs, recipe.batch_size, recipe.validation_fraction) == (epochs, batch_size, validation_fraction)


@pytest.mark.parametrize(("n_rows", "teacher_epochs"), [(9_999, 0), (10_000, 158), (60_000, 30)])
def test_a_teacher_gets_enough_steps_and_few_rows_none(n_rows, teacher_epochs):
    assert Overrides().applied_to("best", n_rows).teacher_epochs == teacher_epochs


def test_overrides_hold_for_few_rows_too():
    overrides = {"epochs": 3, "batch_size": 32, "validation_fraction": 0.1}
    recipe = Overrides(**overrides).applied_to("fast", n_rows=200)
    assert recipe == PRESETS["fast"].recipes["mlp"].model_copy(update=overrides)


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
        {"epoch": 3},
    ],
)
def test_a_field_that_is_unknown_or_out_of_bounds_is_refused(bad):
    with pytest.raises(ValidationError):
        Overrides(**bad)


def test_an_unknown_network_is_refused_with_the_allowed_ones():
    with pytest.raises(ValidationError, match="Input should be 'mlp' or 'cnn'"):
        Overrides(network="transformer")


def test_patience_without_validation_is_refused():
    with pytest.raises(InputError, match="validation fraction above 0"):
        Overrides(patience=2, validation_fraction=0).applied_to("fast")


def test_the_form_shows_plain_fields_with_the_values_of_all_presets():
    field = Overrides.model_json_schema()["properties"]["epochs"]
    description = field.pop("description")
    assert description.endswith(
        " Default: plain 10, fast 14, robust 30, best 300; cnn: plain 10, fast 8, robust 14, best 30."
    )
    assert field == {"title": "Epochs", "type": "integer", "minimum": 1, "maximum": 10_000}


def test_fields_that_arent_set_are_left_out():
    assert Overrides(epochs=3).model_dump() == {"epochs": 3}
