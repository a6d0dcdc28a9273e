"""The compiled block: every row exactly once, for any number of rows and any batch size."""

from functools import cache

import keras
import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.recipe import Overrides
from tasks.training.block import compile_block
from tasks.training.worker import SINGLE_WORKER

ROWS: list[int] = []


def record(numbers):
    ROWS.extend(numbers.numpy().astype(int).tolist())


@keras.saving.register_keras_serializable()
class RowRecorder(keras.layers.Layer):
    """Records the numbers of the rows that it gets, which are in their first two pixels."""

    def call(self, images):
        tf.py_function(record, [images[:, 0, 0] * 256 + images[:, 0, 1]], [])
        return images


@cache
def block(batch_size: int):
    network = keras.Sequential(
        [keras.Input((28, 28)), RowRecorder(), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    )
    optimizer = keras.optimizers.Adam()
    optimizer.build(network.trainable_variables)
    recipe = Overrides(batch_size=batch_size).applied_to("plain")
    return compile_block(network, optimizer, recipe, SINGLE_WORKER, "float32")


def rows_used(rows: int, batch_size: int, seed: tuple[int, int]) -> list[int]:
    pixels = np.zeros((rows, 784), np.uint8)
    pixels[:, 0], pixels[:, 1] = np.divmod(np.arange(rows), 256)
    ROWS.clear()
    block(batch_size)(tf.constant(pixels), tf.zeros([rows], tf.int32), tf.constant(seed))
    return list(ROWS)


@settings(deadline=None, max_examples=25)
@given(
    rows=st.integers(1, 700),
    batch_size=st.sampled_from([1, 7, 64, 1000]),
    seed=st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 10_000)),
)
def test_every_row_of_a_block_is_used_exactly_once(rows, batch_size, seed):
    assert sorted(rows_used(rows, batch_size, seed)) == list(range(rows))


def test_seed_and_block_number_decide_the_order():
    first = rows_used(500, 100, (3, 0))
    assert first == rows_used(500, 100, (3, 0))
    assert first != rows_used(500, 100, (3, 1))
    assert first != rows_used(500, 100, (4, 0))
    assert first != list(range(500))
