"""Augmentation: shape, range and type stay, deformations are bounded, the seed decides them."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import draw_digits

from schemas.recipe import PRESETS, Overrides
from tasks.training import augmentation
from tasks.training.worker import SINGLE_WORKER, BatchShard

STRONGEST = Overrides(rotation=20, scaling=0.5, shear=0.5, shift=5, elastic=3).applied_to("fast")
FAST = PRESETS["fast"].recipes["mlp"]
NONE = Overrides(rotation=0, scaling=0, shear=0, shift=0, elastic=0).applied_to("fast")


def deform(before, seed, recipe):
    return augmentation.deform(before, seed, recipe, SINGLE_WORKER.shard(tf.shape(before)[0]))


def images(rows, seed=0):
    return tf.constant(draw_digits(rows, seed)[0].reshape(rows, 784), tf.float32)


@settings(deadline=None, max_examples=25)
@given(rows=st.integers(1, 150), seed=st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)))
def test_the_strongest_augmentation_keeps_shape_range_and_type(rows, seed):
    before = images(rows)
    after = deform(before, tf.constant(seed), STRONGEST)
    assert after.shape == before.shape
    assert after.dtype == before.dtype
    assert np.isfinite(after).all()
    assert np.min(after) >= 0
    assert np.max(after) <= 255


def test_an_augmentation_of_strength_0_changes_nothing():
    before = images(70)
    np.testing.assert_allclose(deform(before, tf.constant([1, 2]), NONE), before, atol=0.05)


def test_the_seed_decides_the_deformations():
    before = images(70)
    one, same, other = (deform(before, tf.constant(seed), FAST).numpy() for seed in ([1, 2], [1, 2], [1, 3]))
    assert (one == same).all()
    assert (one != other).any()


def test_each_group_of_32_images_is_deformed_differently():
    row = images(1).numpy()
    after = deform(tf.constant(np.repeat(row, 200, axis=0)), tf.constant([0, 0]), FAST).numpy()
    assert len(np.unique(after, axis=0)) == 7  # groups of 32


@pytest.mark.parametrize("network", ["mlp", "cnn"])
@pytest.mark.parametrize("preset", ["fast", "best"])
def test_a_dot_above_the_centre_stays_above_it(preset, network):
    """A rotation that makes a 6 a 9 would bring it below."""
    picture = np.zeros((28, 28), np.float32)
    picture[5:8, 13:15] = 255
    copies = tf.constant(np.repeat(picture.reshape(1, 784), 6400, axis=0))
    after = deform(copies, tf.constant([5, 5]), PRESETS[preset].recipes[network]).numpy().reshape(-1, 28, 28)
    heights = (after.sum(axis=2) * np.arange(28)).sum(axis=1) / after.sum(axis=(1, 2))
    assert heights.max() < 11
    assert after.sum(axis=(1, 2)).min() > 0.4 * picture.sum()


def test_shift_moves_images_in_both_directions():
    recipe = NONE.model_copy(update={"shift": 2.0})
    picture = np.zeros((28, 28), np.float32)
    picture[14, 14] = 255
    copies = tf.constant(np.repeat(picture.reshape(1, 784), 6400, axis=0))
    after = deform(copies, tf.constant([5, 5]), recipe).numpy().reshape(-1, 28, 28)
    across = (after.sum(axis=1) * np.arange(28)).sum(axis=1) / after.sum(axis=(1, 2))
    assert across.min() < 12.7
    assert across.max() > 15.3
    assert abs(across.mean() - 14) < 0.5


@pytest.mark.parametrize("name", augmentation.CORRUPTIONS)
def test_half_of_a_batch_is_corrupted_by_the_seed_within_the_range(name):
    recipe = NONE.model_copy(update={name: 1.0})
    before, shard = images(64), SINGLE_WORKER.shard(tf.constant(64))
    one, same, other = (
        augmentation.corrupt(before, tf.constant(seed), recipe, shard).numpy() for seed in ([1, 2], [1, 2], [1, 3])
    )
    assert (one == same).all()
    assert (one != other).any()
    assert (one[32:] == before[32:]).numpy().all()
    assert (one[:32] != before[:32].numpy()).any(axis=1).mean() > 0.8
    assert one.min() >= 0
    assert one.max() <= 255


def test_two_workers_corrupt_a_batch_as_one_does():
    recipe, before, seed, rows = PRESETS["robust"].recipes["mlp"], images(100), tf.constant([1, 2]), tf.constant(100)
    whole = augmentation.corrupt(before, seed, recipe, BatchShard(tf.constant(0), rows, rows, tf.constant(1.0)))
    bounds = [(0, 32), (32, 100)]
    parts = [
        augmentation.corrupt(
            before[a:b], seed, recipe, BatchShard(tf.constant(a), tf.constant(b), rows, tf.constant(1.0))
        )
        for a, b in bounds
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
