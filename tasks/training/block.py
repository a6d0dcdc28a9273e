"""The compiled training on one block of rows: shuffle, gather, augment, step and sum in one graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf

from schemas.digits import CLASSES, PIXEL_COUNT, SIDE
from tasks.training.augmentation import deform

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

    from schemas.recipe import Recipe
    from tasks.training.worker import BatchShard, Worker


class BlockSums(NamedTuple):
    """Summed loss and number of correct rows of a block; `float64`, which is exact for counts."""

    loss: tf.Tensor
    correct: tf.Tensor


def compile_block(
    network: keras.Model, loss: keras.losses.Loss, optimizer: keras.optimizers.Optimizer, recipe: Recipe, worker: Worker
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], BlockSums]:
    """Compile the training on a block: pixels (rows × 784, `uint8`), labels (rows) and a seed of two integers.

    Python runs once per block. Every row is used once, in the last partial batch too. All randomness comes from the
    seed by stateless functions, so that a block can be repeated from a checkpoint, bit for bit. All workers get the
    same block and return the same sums. `loss` has to sum over rows, not average.
    """
    step = _step(network, loss, optimizer, recipe)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, PIXEL_COUNT], tf.uint8),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([2], tf.int32),
        ]
    )
    def train_block(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> BlockSums:
        n_rows = tf.shape(labels)[0]
        order = tf.random.experimental.stateless_shuffle(tf.range(n_rows), seed)
        loss_sum, correct = tf.constant(0.0, tf.float64), tf.constant(0.0, tf.float64)
        for start in tf.range(0, n_rows, recipe.batch_size):
            batch = order[start : start + recipe.batch_size]
            shard = worker.shard(tf.shape(batch)[0])
            batch = batch[shard.first : shard.last]
            # 1 + start: the order was drawn from the seed itself, as with 0.
            sums = worker.run(
                step,
                tf.gather(pixels, batch),
                tf.gather(labels, batch),
                tf.random.experimental.stateless_fold_in(seed, 1 + start),
                shard,
            )
            loss_sum += sums.loss
            correct += sums.correct
        return BlockSums(*worker.run(worker.all_reduce, [loss_sum, correct]))

    return train_block


def _step(
    network: keras.Model, loss: keras.losses.Loss, optimizer: keras.optimizers.Optimizer, recipe: Recipe
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor, BatchShard], BlockSums]:
    """Return the training step on a worker's shard of a batch."""

    def step(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, shard: BatchShard) -> BlockSums:
        images = tf.cast(pixels, tf.float32)
        if recipe.augments:
            images = deform(images, seed, recipe, shard)
        with tf.GradientTape() as tape:
            probabilities = network(tf.reshape(images, [-1, SIDE, SIDE]), training=True)
            summed_loss = shard.weight * loss(tf.one_hot(labels, len(CLASSES)), probabilities)
            part_of_mean = summed_loss / tf.cast(shard.n_rows, tf.float32)
        gradients = tape.gradient(part_of_mean, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)  # Keras sums them over all workers
        is_correct = tf.equal(tf.argmax(probabilities, axis=1, output_type=tf.int32), labels)
        correct = shard.weight * tf.reduce_sum(tf.cast(is_correct, tf.float32))
        return BlockSums(tf.cast(summed_loss, tf.float64), tf.cast(correct, tf.float64))

    return step
