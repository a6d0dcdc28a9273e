"""A teacher labels every image of a training: what is learned from it, resuming in both phases, the fingerprint."""

import pytest
import tensorflow as tf

from schemas.recipe import Overrides
from tasks.inference.model import predict_images
from tasks.training.block import compile_block
from tasks.training.fingerprint import fingerprint
from tasks.training.networks import build_network, build_optimizer
from tasks.training.teacher import Teacher
from tasks.training.worker import SINGLE_WORKER


@pytest.fixture
def taught():
    """Return the recipe of a short training with a teacher."""
    recipe = Overrides(epochs=4, teacher_epochs=3, batch_size=64, validation_fraction=0.1).applied_to("fast")
    return recipe.model_copy(update={"optimizer": "adam"})


def test_a_network_without_true_labels_learns_from_its_teacher(train, tiny):
    recipe = Overrides(epochs=20, batch_size=32, validation_fraction=0).applied_to("fast")
    teacher = Teacher(recipe, train(recipe).network.get_weights(), "float32")
    network, optimizer = build_network(recipe), build_optimizer(recipe, 19)
    optimizer.build(network.trainable_variables)
    block = compile_block(network, optimizer, recipe, SINGLE_WORKER, "float32", teacher.predictor())
    pixels = tf.constant(tiny.train.read(slice(None)))
    for epoch in range(recipe.epochs):
        block(pixels, tf.zeros([len(pixels)], tf.int32), tf.constant([0, epoch]))  # every label is 0
    assert (predict_images(network, tiny.test).argmax(axis=1) == tiny.test.labels).mean() > 0.9


def test_a_training_killed_in_either_phase_ends_with_the_same_weights(train, taught, log, tmp_path):
    fractions = []
    expected = train(taught, tmp_path / "a", on_block=fractions.append)
    assert fractions == [number / 7 for number in range(1, 8)]

    def fail_at(number):
        def on_block(fraction):
            if fraction == fractions[number]:
                raise RuntimeError("power failure")

        return on_block

    for number, first_message in ((1, "teacher"), (4, "teacher: resuming after epoch 2 of 3")):
        with pytest.raises(RuntimeError, match="power failure"):
            train(taught, tmp_path / "b", on_block=fail_at(number))
        assert log.messages[0].startswith(first_message)
    assert train(taught, tmp_path / "b").digest == expected.digest
    assert log.epochs == [3, 4]


def test_the_teacher_and_its_precision_are_part_of_the_fingerprint(tiny, taught, monkeypatch):
    fingerprints = {fingerprint(tiny, taught), fingerprint(tiny, taught.model_copy(update={"teacher_epochs": 2}))}
    for precision in ("float32", "bfloat16"):
        precisions = {"mlp": "float32", "cnn": precision}
        monkeypatch.setattr("tasks.training.fingerprint.training_precision", precisions.get)
        fingerprints.add(fingerprint(tiny, taught))
    assert len(fingerprints) == 3, "one of the precisions is this machine's"
