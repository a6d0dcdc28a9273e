"""The compiled training of one block of rows: order, gather, augmentation, step, averages, all in one graph."""

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
    """What a block adds to its epoch's figures: summed loss and rows recognised; `float64`, which counts exactly."""

    loss: tf.Tensor
    correct: tf.Tensor


def shuffled(rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Give every row number once, in the order that the stateless seed decides."""
    return tf.random.experimental.stateless_shuffle(tf.range(rows), seed)


def compile_block(
    network: keras.Model, loss: keras.losses.Loss, optimizer: keras.optimizers.Optimizer, recipe: Recipe, own: Worker
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], BlockSums]:
    """Compile the training on a block: pixels (rows × 784, `uint8`), labels (rows) and a seed of two integers.

    Python is entered once a block. Every row is used once, the last partial batch included. All that is random comes
    from the seed by stateless functions, so that a block can be repeated from a checkpoint, bit for bit. All workers
    are given the same block, and give its same sums back; `loss` adds up, and doesn't average, over rows.
    """

    def step(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, portion: BatchShard) -> BlockSums:
        images = tf.cast(pixels, tf.float32)
        if recipe.augments:
            images = deform(images, seed, recipe, portion)
        with tf.GradientTape() as tape:
            probabilities = network(tf.reshape(images, [-1, SIDE, SIDE]), training=True)
            summed_loss = portion.weight * loss(tf.one_hot(labels, len(CLASSES)), probabilities)
            part_of_mean = summed_loss / tf.cast(portion.n_rows, tf.float32)
        gradients = tape.gradient(part_of_mean, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)  # Keras adds them up over all workers
        right = tf.equal(tf.argmax(probabilities, axis=1, output_type=tf.int32), labels)
        correct = portion.weight * tf.reduce_sum(tf.cast(right, tf.float32))
        return BlockSums(tf.cast(summed_loss, tf.float64), tf.cast(correct, tf.float64))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, PIXEL_COUNT], tf.uint8),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([2], tf.int32),
        ]
    )
    def train_block(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> BlockSums:
        rows = tf.shape(labels)[0]
        order = shuffled(rows, seed)
        loss_sum, correct = tf.constant(0.0, tf.float64), tf.constant(0.0, tf.float64)
        for start in tf.range(0, rows, recipe.batch_size):
            batch = order[start : start + recipe.batch_size]
            portion = own.portion(tf.shape(batch)[0])
            batch = batch[portion.first : portion.last]
            # 1 + start: the order itself was drawn from the seed unfolded.
            sums = own.run(
                step,
                tf.gather(pixels, batch),
                tf.gather(labels, batch),
                tf.random.experimental.stateless_fold_in(seed, 1 + start),
                portion,
            )
            loss_sum += sums.loss
            correct += sums.correct
        return BlockSums(*own.run(own.summed, [loss_sum, correct]))

    return train_block
