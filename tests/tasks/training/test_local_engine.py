"""Training in one process: repeatable, resumable, and stopped when it learns nothing."""

import dataclasses
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from schemas.errors import TrainingError
from schemas.images import InMemoryImages
from schemas.recipe import Overrides
from tasks.training.job import weights_digest


def change(recipe, **fields):
    return recipe.model_copy(update=fields)


def test_the_seed_decides_the_weights(train, recipe, uninterrupted, tmp_path):
    first, again = uninterrupted.result, train(recipe, tmp_path / "a")
    other = train(change(recipe, seed=1), tmp_path / "b")
    assert first.digest == again.digest == weights_digest(again.network)
    assert other.digest != first.digest
    assert first.fingerprint == again.fingerprint != other.fingerprint


@pytest.mark.parametrize(("network", "parameters"), [("mlp", 109_386), ("cnn", 99_898)])
def test_a_network_has_its_documented_size_and_learns(train, tiny, network, parameters):
    recipe = Overrides(network=network, epochs=8, batch_size=32, validation_fraction=0.1).applied_to("plain")
    result = train(recipe)
    assert result.network.count_params() == parameters
    assert result.history[-1].validation_accuracy > 0.9
    assert result.training_rows + result.validation_rows == len(tiny.train)


def fail_after(epoch):
    def on_epoch(record):
        if record.epoch == epoch:
            raise RuntimeError("power failure")

    return on_epoch


@pytest.mark.parametrize("storage", ["folder", "object store"])
def test_a_resumed_training_ends_with_the_same_weights(  # noqa: PLR0913, fixtures
    train, log, recipe, uninterrupted, tmp_path, bucket, storage
):
    work = tmp_path / "b" if storage == "folder" else f"{bucket}/b"
    with pytest.raises(RuntimeError, match="power failure"):
        train(recipe, work, on_epoch=fail_after(4))
    resumed = train(recipe, work)
    assert log.epochs == [5, 6], "an epoch is saved before it is reported"
    assert "resuming after epoch 4 of 6" in log.messages[0]
    expected = uninterrupted.result
    assert resumed.digest == expected.digest
    assert [(r.loss, r.accuracy) for r in resumed.history] == [(r.loss, r.accuracy) for r in expected.history]


def test_a_damaged_checkpoint_is_logged_and_the_previous_one_used(train, log, recipe, uninterrupted, work):
    newest = max(work.rglob("epoch-*.npz"))
    newest.write_bytes(newest.read_bytes()[:-7])
    resumed = train(recipe, work)
    assert f"{newest} is damaged" in log.messages[0]
    assert log.epochs == [6]
    assert resumed.digest == uninterrupted.result.digest


def test_checkpoints_of_another_recipe_are_not_used(train, log, recipe, work):
    train(change(recipe, learning_rate=0.02), work)
    assert log.epochs == [1, 2, 3, 4, 5, 6]


def test_ctrl_c_ends_the_training_once_its_checkpoint_is_saved(train, log, recipe, tmp_path):
    def interrupt(record):
        if record.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path, on_epoch=interrupt)
    assert "interrupted after epoch 2 of 6; the same command resumes from there" in log.messages
    train(recipe, tmp_path)
    assert log.epochs == [3, 4, 5, 6]


def test_a_loss_that_is_not_finite_ends_the_training(train, recipe, tmp_path, monkeypatch):
    sums = tf.constant(np.nan), tf.constant(0)
    monkeypatch.setattr("tasks.training.trainer.compile_block", lambda *_: lambda *_: sums)
    with pytest.raises(TrainingError, match=f"no longer finite in epoch 1; .* below {recipe.learning_rate}"):
        train(recipe, tmp_path)
    assert not list(tmp_path.rglob("*.npz")), "nothing is saved that a rerun would resume from"


def test_a_network_that_only_guesses_ends_the_training(train, log, tiny):
    random = np.random.default_rng(0)
    noise = InMemoryImages(
        random.integers(0, 256, (600, 784), dtype=np.uint8), random.integers(0, 10, 600, dtype=np.uint8)
    )
    dataset = dataclasses.replace(tiny, train=noise, fingerprint="noise")
    recipe = Overrides(epochs=40, batch_size=32, learning_rate=1e-7).applied_to("plain")
    with pytest.raises(TrainingError, match=r"^after epoch \d+ the training accuracy, .* is no better than guessing"):
        train(recipe, dataset=dataset)
    assert log.epochs[-1] < 10


def test_guessing_in_the_last_epoch_ends_a_short_training_too(train, recipe):
    with pytest.raises(TrainingError, match=r"^after epoch 2 the training accuracy, .* is no better than guessing"):
        train(change(recipe, epochs=2, learning_rate=1e-9, batch_size=512))


def test_too_few_steps_are_named_as_the_reason(train, recipe):
    with pytest.raises(TrainingError, match=r"too few steps were made \(1\): set more --epochs"):
        train(change(recipe, epochs=1, learning_rate=1e-9, batch_size=1024))


def test_many_short_epochs_are_saved_and_reported_100_times(train, log, recipe):
    train(change(recipe, epochs=200, batch_size=1024, patience=0))
    assert log.epochs == list(range(2, 201, 2))


def test_early_stopping_returns_the_best_weights_after_a_resume_too(train, log, recipe, tmp_path):
    unsteady = change(recipe, epochs=60, patience=2, schedule="constant", learning_rate=0.05, weight_averaging=0)
    uninterrupted = train(unsteady, tmp_path / "a")
    losses = [record.validation_loss for record in uninterrupted.history]
    assert len(losses) < 60
    assert len(losses) == int(np.argmin(losses)) + 1 + 2
    with pytest.raises(RuntimeError):
        train(unsteady, tmp_path / "b", on_epoch=fail_after(len(losses)))
    assert train(unsteady, tmp_path / "b").digest == uninterrupted.digest
    assert log.epochs == []


def test_the_saved_model_loads_without_this_project(uninterrupted, tmp_path, tiny):
    network = uninterrupted.result.network
    network.save(tmp_path / "model.keras")
    pixels = tiny.test.pixels.reshape(-1, 28, 28)
    np.save(tmp_path / "pixels.npy", pixels)
    code = (
        "import keras, numpy as np\n"
        "network = keras.models.load_model('model.keras')\n"  # in Keras' safe mode
        "np.save('predicted.npy', network.predict(np.load('pixels.npy'), verbose=0))\n"
    )
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True, capture_output=True)
    assert isinstance(network, keras.Model)
    np.testing.assert_allclose(np.load(tmp_path / "predicted.npy"), network.predict(pixels, verbose=0), atol=1e-6)
