"""The split into rows to train on and held-out rows."""

import dataclasses

import numpy as np
import pytest

from schemas.errors import InputError
from tasks.training.held_out import split


def test_held_out_rows_have_every_class_in_proportion(tiny, recipe):
    images, held_out = split(tiny, recipe)
    assert (np.bincount(held_out.labels) == 6).all()
    both = np.concatenate([images.pixels, held_out.pixels])
    assert sorted(map(bytes, both)) == sorted(map(bytes, tiny.train.pixels))


def test_a_validation_fraction_of_0_holds_out_nothing(tiny, recipe):
    images, held_out = split(tiny, recipe.model_copy(update={"validation_fraction": 0.0}))
    assert (images.labels == tiny.train.labels).all()
    assert len(held_out.labels) == 0


def test_too_few_rows_for_a_split_are_an_input_error(tiny, recipe):
    few = dataclasses.replace(tiny, name="few", train=tiny.train.take(np.arange(12)))
    with pytest.raises(InputError, match="12 training rows can't be split"):
        split(few, recipe)
