"""The engine: repeatable, resumable, watched."""

import dataclasses
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from schemas.errors import InputError, TrainingError
from schemas.images import InMemoryImages
from schemas.recipe import Overrides
from tasks.training.block import BlockSums
from tasks.training.engine import digest, split


def changed(recipe, **fields):
    return recipe.model_copy(update=fields)


@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_one_seed_gives_the_same_weights_another_seed_others(train, recipe, tmp_path, network):
    recipe = changed(recipe, network=network, epochs=3)
    first, again = (train(recipe, tmp_path / name) for name in "ab")
    other = train(changed(recipe, seed=1), tmp_path / "c")
    assert first.digest == again.digest == digest(again.network)
    assert other.digest != first.digest
    assert first.fingerprint == again.fingerprint != other.fingerprint


@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_it_learns(train, tiny, network):
    recipe = Overrides(network=network, epochs=8, batch_size=32, validation_fraction=0.1).applied_to("plain")
    trained = train(recipe)
    assert trained.history[-1].validation_accuracy > 0.9
    assert trained.training_rows + trained.validation_rows == len(tiny.train)


def test_the_seed_network_has_its_109_386_parameters(train, recipe):
    assert train(changed(recipe, epochs=1)).network.count_params() == 109_386


@pytest.mark.parametrize("place", ["folder", "address"])
def test_a_resumed_training_ends_as_an_undisturbed_one(train, recipe, tmp_path, bucket, place):
    undisturbed = train(recipe, tmp_path / "a")
    work = tmp_path / "b" if place == "folder" else f"{bucket}/b"

    def stop(record):
        if record.epoch == 4:
            raise RuntimeError("power failure")

    with pytest.raises(RuntimeError, match="power failure"):
        train(recipe, work, on_epoch=stop)
    resumed = train(recipe, work)
    assert train.epochs == [5, 6], "an epoch is saved before it is told of"
    assert "going on after epoch 4 of 6" in train.summary[0]
    assert resumed.digest == undisturbed.digest
    assert [(r.loss, r.accuracy) for r in resumed.history] == [(r.loss, r.accuracy) for r in undisturbed.history]


def damage_newest(folder, how):
    newest = max(folder.rglob("epoch-*.npz"))
    content = bytearray(newest.read_bytes())
    content = how(content)
    newest.write_bytes(content)
    return newest


def flip(content):
    content[len(content) // 2] ^= 1
    return content


@pytest.mark.parametrize("how", [flip, lambda content: content[:-7], lambda _: b""], ids=["flipped", "cut", "empty"])
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_used(train, recipe, tmp_path, how):
    undisturbed = train(recipe, tmp_path / "a")
    train(recipe, tmp_path / "b")
    newest = damage_newest(tmp_path / "b", how)
    resumed = train(recipe, tmp_path / "b")
    assert f"{newest} is damaged" in train.summary[0]
    assert train.epochs == [6]
    assert resumed.digest == undisturbed.digest


def test_when_every_checkpoint_is_damaged_it_begins_anew(train, recipe, tmp_path):
    undisturbed = train(recipe, tmp_path / "a")
    for path in (tmp_path / "a").rglob("epoch-*.npz"):
        path.write_bytes(b"")
    assert train(recipe, tmp_path / "a").digest == undisturbed.digest
    assert train.epochs == [1, 2, 3, 4, 5, 6]
    assert len(train.summary) == 2


def test_checkpoints_do_not_pile_up(train, recipe, tmp_path):
    train(recipe, tmp_path)
    names = sorted(path.name[:11] for path in tmp_path.rglob("*.npz"))
    assert names == ["epoch-00005", "epoch-00006"]


def test_checkpoints_of_another_recipe_are_not_taken(train, recipe, tmp_path):
    train(recipe, tmp_path)
    train(changed(recipe, learning_rate=0.02), tmp_path)
    assert train.epochs == [1, 2, 3, 4, 5, 6]


def test_ctrl_c_ends_the_training_after_the_epoch_is_saved(train, recipe, tmp_path):
    undisturbed = train(recipe, tmp_path / "a")

    def interrupt(record):
        if record.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "b", on_epoch=interrupt)
    assert "interrupted after epoch 2 of 6; the same command goes on from there" in train.summary
    assert train(recipe, tmp_path / "b").digest == undisturbed.digest
    assert train.epochs == [3, 4, 5, 6]


def test_a_loss_that_is_no_number_ends_the_training(train, recipe, tmp_path, monkeypatch):
    lost = BlockSums(tf.constant(np.nan), tf.constant(0))
    monkeypatch.setattr("tasks.training.trainer.compile_block", lambda *_: lambda *_: lost)
    with pytest.raises(TrainingError, match=f"no longer finite in epoch 1; .* lower .* than {recipe.learning_rate}"):
        train(recipe, tmp_path)
    assert not list(tmp_path.rglob("*.npz")), "nothing is saved that a rerun would go on from"


def test_a_network_that_only_guesses_ends_the_training(train, tiny):
    random = np.random.default_rng(0)
    noise = InMemoryImages(
        random.integers(0, 256, (600, 784), dtype=np.uint8), random.integers(0, 10, 600, dtype=np.uint8)
    )
    dataset = dataclasses.replace(tiny, train=noise, fingerprint="noise")
    recipe = Overrides(epochs=40, batch_size=32, learning_rate=1e-7).applied_to("plain")
    with pytest.raises(TrainingError, match="still guesses in epoch"):
        train(recipe, dataset=dataset)
    assert train.epochs[-1] < 10


def test_a_short_training_that_only_guesses_ends_too(train, recipe):
    with pytest.raises(TrainingError, match="still guesses in epoch 2"):
        train(changed(recipe, epochs=2, learning_rate=1e-9, batch_size=512))


def test_early_stopping_gives_the_best_weights_and_survives_a_restart(train, recipe, tmp_path):
    restless = changed(recipe, epochs=60, patience=2, schedule="constant", learning_rate=0.05, weight_averaging=0)
    undisturbed = train(restless, tmp_path / "a")
    losses = [record.validation_loss for record in undisturbed.history]
    assert len(losses) < 60
    assert len(losses) == int(np.argmin(losses)) + 1 + 2

    def stop(record):
        if record.epoch == len(losses):
            raise RuntimeError("power failure")

    with pytest.raises(RuntimeError):
        train(restless, tmp_path / "b", on_epoch=stop)
    assert train(restless, tmp_path / "b").digest == undisturbed.digest
    assert train.epochs == []


def test_the_split_holds_out_every_class_in_proportion(tiny, recipe):
    rows, held_out = split(tiny, recipe)
    assert (np.bincount(held_out.labels) == 6).all()
    both = np.concatenate([rows.pixels, held_out.pixels])
    assert sorted(map(bytes, both)) == sorted(map(bytes, tiny.train.pixels))


def test_without_a_validation_fraction_every_row_is_trained_on(tiny, recipe):
    rows, held_out = split(tiny, changed(recipe, validation_fraction=0.0))
    assert (rows.labels == tiny.train.labels).all()
    assert len(held_out.labels) == 0


def test_a_split_that_cannot_be_is_refused(tiny, recipe):
    few = dataclasses.replace(tiny, name="few", train=tiny.train.take(np.arange(12)))
    with pytest.raises(InputError, match="12 training rows can't be split"):
        split(few, recipe)


def test_the_published_file_is_plain_keras(train, recipe, tmp_path, tiny):
    """Load it where nothing of ours can be imported, with Keras' safe mode."""
    import subprocess
    import sys

    trained = train(recipe)
    trained.network.save(tmp_path / "model.keras")
    pixels = tiny.test.pixels
    np.save(tmp_path / "pixels.npy", pixels.reshape(-1, 28, 28))
    code = (
        "import keras, numpy as np\n"
        "network = keras.models.load_model('model.keras')\n"
        "np.save('answers.npy', network.predict(np.load('pixels.npy'), verbose=0))\n"
    )
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True, capture_output=True)
    own = trained.network.predict(pixels.reshape(-1, 28, 28), verbose=0)
    assert isinstance(trained.network, keras.Model)
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), own, atol=1e-6)
