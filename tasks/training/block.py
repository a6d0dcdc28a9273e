"""The compiled training on one block of rows: shuffle, gather, augment, step and sum in one graph."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from schemas.digits import CLASSES, PIXEL_COUNT, SIDE
from schemas.recipe import Recipe
from schemas.training import Precision
from tasks.training.augmentation import corrupt, deform
from tasks.training.networks import hidden_layers_in
from tasks.training.teacher import TRUE_SHARE, distillation_loss
from tasks.training.worker import BatchShard, Worker

Sums = tuple[tf.Tensor, tf.Tensor]
"""Summed loss and number of correct rows; `float64`, which is exact for counts."""


def compile_block(  # noqa: PLR0913, the parts of a training step
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    recipe: Recipe,
    worker: Worker,
    precision: Precision,
    teacher: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Sums]:
    """Compile the training on a block: pixels (rows × 784, `uint8`), labels (rows) and a seed of two integers.

    Each call trains on a whole block, and uses every row once; the last batch may be smaller. All randomness comes from
    the seed through stateless functions, so that a block can be repeated from a checkpoint, bit for bit. All workers
    get the same block and return the same sums. Only this training computes with `precision`: the network stays one of
    `float32`. `teacher` predicts each augmented image.
    """
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing, reduction="sum")

    def step(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, shard: BatchShard) -> Sums:
        images = tf.cast(pixels, tf.float32)
        if recipe.deforms:
            images = deform(images, seed, recipe, shard)
        if recipe.corrupts:
            images = corrupt(images, seed, recipe, shard)
        images = tf.reshape(images, [-1, SIDE, SIDE])
        of_teacher = teacher(images) if teacher else None
        with tf.GradientTape() as tape:
            with hidden_layers_in(network, precision):
                probabilities = network(images, training=True)
            summed_loss = shard.weight * loss(tf.one_hot(labels, len(CLASSES)), probabilities)
            if of_teacher is not None:
                distillation = shard.weight * distillation_loss(of_teacher, probabilities)
                summed_loss = TRUE_SHARE * summed_loss + (1 - TRUE_SHARE) * distillation
            part_of_mean = summed_loss / tf.cast(shard.n_rows, tf.float32)
        gradients = tape.gradient(part_of_mean, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)  # Keras sums them over all workers
        is_correct = tf.equal(tf.argmax(probabilities, axis=1, output_type=tf.int32), labels)
        correct = shard.weight * tf.reduce_sum(tf.cast(is_correct, tf.float32))
        return tf.cast(summed_loss, tf.float64), tf.cast(correct, tf.float64)

    return _block(step, recipe.batch_size, worker)


def _block(
    step: Callable[..., Sums], batch_size: int, worker: Worker
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Sums]:
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, PIXEL_COUNT], tf.uint8),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([2], tf.int32),
        ],
        autograph=False,  # to convert the code of Keras takes 0.75 s, and finds no control flow
    )
    def train_block(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> Sums:
        n_rows = tf.shape(labels)[0]
        order = tf.random.experimental.stateless_shuffle(tf.range(n_rows), seed)

        def train_batch(start: tf.Tensor, loss_sum: tf.Tensor, correct: tf.Tensor) -> tuple[tf.Tensor, ...]:
            batch = order[start : start + batch_size]
            shard = worker.shard(tf.shape(batch)[0])
            batch = batch[shard.first : shard.last]
            # 1 + start: the order was drawn from the seed itself, as with 0.
            batch_seed = tf.random.experimental.stateless_fold_in(seed, 1 + start)
            arguments = (tf.gather(pixels, batch), tf.gather(labels, batch), batch_seed, shard)
            batch_loss, batch_correct = worker.strategy.run(step, arguments)  # a loop has to be around it
            return start + batch_size, loss_sum + batch_loss, correct + batch_correct

        zero = tf.constant(0.0, tf.float64)
        _, *sums = tf.while_loop(lambda start, *_: start < n_rows, train_batch, (tf.constant(0), zero, zero))
        return worker.strategy.run(worker.all_reduce, (tuple(sums),))

    return train_block
