"""The search space: ranges of the recipe's fields."""

import pytest

from schemas.recipe import PRESETS
from tasks.tuning.search_space import ranges, search_space, to_recipe

RECIPES = {(name, network): recipe for name, preset in PRESETS.items() for network, recipe in preset.recipes.items()}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=map("-".join, RECIPES))
def test_ends_of_every_range_are_recipes_and_the_start_lies_between(recipe):
    for name, distribution in search_space(recipe).items():
        for end in (distribution.low, distribution.high):
            to_recipe(recipe, {name: end})
        assert distribution._contains(getattr(recipe, name))


def test_fields_that_decide_what_is_compared_are_not_tuned():
    assert {"epochs", "learning_rate", "rotation"} <= ranges().keys()
    assert not ranges().keys() & {"network", "optimizer", "schedule", "validation_fraction", "patience", "seed"}


def test_numbers_that_are_tried_have_three_digits(start):
    assert to_recipe(start, {"learning_rate": 0.0123456}).learning_rate == 0.0123


def test_start_is_tried_as_it_is_with_any_number_of_digits(start):
    precise = start.model_copy(update={"learning_rate": 0.0123456})
    assert to_recipe(precise, precise.model_dump(include={*ranges()})) == precise
