"""Held-out rows, and training in blocks, on more data than memory holds."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from samples import accepted, draw_digits, on_disk, pixel_file

from artifacts.store.storage import storage_at
from schemas.errors import InputError
from schemas.recipe import Overrides
from schemas.review import ADDED, Correction, item_of
from tasks.sharding.images import ShardedImages
from tasks.training.job import plan_job
from tasks.training.sampling import CORRECTION_REPEATS, BlockSampler, block_sampler, split

RECIPE = Overrides(epochs=6, batch_size=32, learning_rate=0.003, validation_fraction=0.1).applied_to("plain")
FAST = Overrides(epochs=6).applied_to("fast")
N_SEEDS = 2
SMALL = 1025  # MiB: a block gets a quarter of the one that is left, 256 rows


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory):
    """Return digits sorted by label, as shards often are, in memory."""
    folder = tmp_path_factory.mktemp("sorted")
    x_train, y_train = draw_digits(3000, seed=1)
    order = np.argsort(y_train, kind="stable")
    x_test, y_test = draw_digits(300, seed=2)
    np.savez(folder / "sorted.npz", x_train=x_train[order], y_train=y_train[order], x_test=x_test, y_test=y_test)
    return accepted(folder / "sorted.npz")


@pytest.fixture
def sharded(in_memory, tmp_path):
    """Return the same digits in three files, to be trained on in blocks of 256."""
    return on_disk(in_memory, tmp_path, 3, SMALL)


def test_held_out_rows_have_every_class_in_proportion(tiny, recipe):
    images, held_out = split(tiny, recipe)
    assert (np.bincount(held_out.labels) == 6).all()
    both = np.concatenate([images.pixels, held_out.pixels])
    assert sorted(map(bytes, both)) == sorted(map(bytes, tiny.train.pixels))


def test_a_validation_fraction_of_0_holds_out_nothing(tiny, recipe):
    images, held_out = split(tiny, recipe.model_copy(update={"validation_fraction": 0.0}))
    assert (images.labels == tiny.train.labels).all()
    assert len(held_out.labels) == 0


def test_images_added_by_corrections_are_repeated_but_not_counted(tiny, recipe, tmp_path):
    digests = tiny.train_digests
    answers = [Correction(item_of(int(digest)), 3, "ann", "", "a.csv", outcome=ADDED) for digest in digests[:40]]
    validation = dataclasses.replace(
        tiny.validation, corrections=(*answers, Correction(item_of(int(digests[40])), 3, "ann", "", "a.csv"))
    )
    corrected = dataclasses.replace(tiny, validation=validation)
    (images, held_out), (plain, plain_held_out) = split(corrected, recipe), split(tiny, recipe)
    assert np.array_equal(held_out.pixels, plain_held_out.pixels), "held-out rows aren't repeated"
    times = Counter(map(bytes, images.pixels))
    added = set(map(bytes, tiny.train.pixels[:40]))
    assert times == {bytes(row): CORRECTION_REPEATS if bytes(row) in added else 1 for row in plain.pixels}
    assert len(images) > len(plain)
    everything, _ = split(corrected, recipe.model_copy(update={"validation_fraction": 0.0}))
    assert len(everything) == len(tiny.train) + 40 * (CORRECTION_REPEATS - 1)
    job = plan_job(corrected, recipe, storage_at(tmp_path))
    assert job.n_distinct_rows == len(plain)
    assert job.fingerprint != plan_job(tiny, recipe, storage_at(tmp_path)).fingerprint


def test_too_few_rows_for_a_split_are_an_input_error(tiny, recipe):
    few = dataclasses.replace(tiny, name="few", train=tiny.train.take(np.arange(12)))
    with pytest.raises(InputError, match="12 training rows can't be split"):
        split(few, recipe)


def test_every_row_is_in_one_block_of_each_epoch_in_another_order():
    sampler = BlockSampler(10_007, 1024, seed=3)
    for epoch in range(2):
        blocks = [sampler.row_numbers(epoch * sampler.n_blocks + block) for block in range(sampler.n_blocks)]
        assert sorted(np.concatenate(blocks).tolist()) == list(range(10_007))
        assert {len(block) for block in blocks[:-1]} == {1024}
    assert not np.array_equal(sampler.row_numbers(0), sampler.row_numbers(sampler.n_blocks))
    np.testing.assert_array_equal(sampler.row_numbers(4), BlockSampler(10_007, 1024, 3).row_numbers(4))


def test_rows_sorted_by_label_are_spread_over_all_blocks():
    labels = np.repeat(np.arange(10), 30_000)
    sampler = BlockSampler(300_000, 40_960, seed=0)
    for block in range(sampler.n_blocks):
        rows = sampler.row_numbers(block)
        shares = np.bincount(labels[rows], minlength=10) / len(rows)
        assert abs(shares - 0.1).max() < 0.05


def test_memory_bounds_a_block_which_is_a_multiple_of_the_batch(sharded):
    sampler = block_sampler(sharded, 2700, RECIPE)
    assert sampler.block_rows == 256
    assert sampler.n_blocks == 11


def test_too_little_memory_is_an_error_with_the_needed_amount(sharded):
    recipe = RECIPE.model_copy(update={"batch_size": 1024})
    with pytest.raises(InputError, match=r"--memory 1025: 3,000 rows need 1,031 MiB at least"):
        block_sampler(sharded, 2700, recipe)
    assert block_sampler(dataclasses.replace(sharded, memory=1031), 2700, recipe).n_blocks == 2


def test_training_in_blocks_learns_as_well_as_in_memory(train, log, in_memory, sharded, tmp_path):
    whole = train(RECIPE, tmp_path / "a", in_memory)
    in_blocks = train(RECIPE, tmp_path / "b", sharded)
    assert log.epochs == [1, 2, 3, 4, 5, 6]
    assert in_blocks.training_rows == whole.training_rows
    assert in_blocks.history[-1].validation_accuracy >= whole.history[-1].validation_accuracy - 0.01
    np.testing.assert_array_equal(in_blocks.held_out_labels, whole.held_out_labels)


def test_resuming_in_the_middle_of_an_epoch_gives_the_same_weights(train, log, sharded, tmp_path):
    uninterrupted = train(RECIPE, tmp_path / "a", sharded)
    fractions = []

    def fail_after_13_blocks(fraction):  # of 11 in an epoch
        fractions.append(fraction)
        if len(fractions) == 13:
            raise RuntimeError("power failure")

    with pytest.raises(RuntimeError, match="power failure"):
        train(RECIPE, tmp_path / "b", sharded, on_block=fail_after_13_blocks)
    resumed = train(RECIPE, tmp_path / "b", sharded)
    assert resumed.digest == uninterrupted.digest
    assert log.epochs == [2, 3, 4, 5, 6]
    assert [(r.loss, r.accuracy) for r in resumed.history] == [(r.loss, r.accuracy) for r in uninterrupted.history]


def test_how_rows_are_divided_into_files_does_not_matter(train, sharded, in_memory, tmp_path):
    np.save(tmp_path / "one.npy", in_memory.train.read(slice(None)))
    files = [pixel_file(tmp_path / "one.npy", len(in_memory.train))]
    one_file = dataclasses.replace(sharded, train=ShardedImages(files, in_memory.train.labels, sharded.train.numbers))
    assert train(RECIPE, tmp_path / "a", sharded).digest == train(RECIPE, tmp_path / "b", one_file).digest


@pytest.mark.mnist
def test_shards_sorted_by_label_cost_no_accuracy(train, tmp_path):
    """Allow a fifth of a point between one shard per digit and shards of shuffled digits, five blocks an epoch."""
    mnist = accepted("mnist")
    orders = {
        "sorted": np.argsort(mnist.train.labels, kind="stable"),
        "shuffled": np.random.default_rng(0).permutation(len(mnist.train)),
    }
    measured = {name: accuracies(train, mnist, order, tmp_path / name) for name, order in orders.items()}
    assert np.mean(measured["sorted"]) >= np.mean(measured["shuffled"]) - 0.002, measured
    assert np.mean(measured["sorted"]) > 0.98


def accuracies(train, mnist, order, folder):
    """Train on digits in ten files in this order, by several seeds; return the test accuracies."""
    from tasks.inference.model import predict_images

    folder.mkdir()
    sharded = on_disk(dataclasses.replace(mnist, train=mnist.train.take(order)), folder, 10, memory=1065)
    assert block_sampler(sharded, len(sharded.train), FAST).n_blocks == 5
    networks = [
        train(FAST.model_copy(update={"seed": seed}), folder / "work", sharded).network for seed in range(N_SEEDS)
    ]
    test = mnist.test
    return [(predict_images(network, test).argmax(axis=1) == test.labels).mean() for network in networks]
