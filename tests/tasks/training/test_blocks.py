"""Training on more than memory holds: every row once an epoch, well mixed, resumed in the middle to the last bit."""

import dataclasses

import numpy as np
import pytest
from samples import accepted, draw_digits, on_disk, pixel_file

from artifacts.store.storage import FolderStorage
from schemas.errors import InputError
from schemas.recipe import Overrides
from tasks.sharding.images import ShardedImages
from tasks.training import engine
from tasks.training.block_sampler import BlockSampler, plan

RECIPE = Overrides(epochs=6, batch_size=32, learning_rate=0.003, validation_fraction=0.1).applied_to("plain")
FAST = Overrides(epochs=6).applied_to("fast")
SEEDS = 4
SMALL = 1025  # MiB, of which a block gets a quarter of what is left of one: 256 rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Give digits sorted by label, as shards often are, in memory."""
    folder = tmp_path_factory.mktemp("sorted")
    x_train, y_train = draw_digits(3000, seed=1)
    order = np.argsort(y_train, kind="stable")
    x_test, y_test = draw_digits(300, seed=2)
    np.savez(folder / "sorted.npz", x_train=x_train[order], y_train=y_train[order], x_test=x_test, y_test=y_test)
    return accepted(folder / "sorted.npz")


@pytest.fixture
def staged(whole, tmp_path):
    """Give the same digits on disk, in three files, to be trained on in blocks of 256."""
    return on_disk(whole, tmp_path, 3, SMALL)


def trained(dataset, work, on_block=lambda _: None):
    told = []
    result = engine.train(
        dataset, RECIPE, FolderStorage(work), on_epoch=told.append, tell=lambda _: None, on_block=on_block
    )
    return result, told


def test_every_row_is_in_one_block_of_each_epoch_and_blocks_differ_between_epochs():
    dealt = BlockSampler(rows=10_007, block_rows=1024, seed=3)
    for epoch in range(2):
        blocks = [dealt.block(number) for number in range(epoch * dealt.blocks, (epoch + 1) * dealt.blocks)]
        assert sorted(np.concatenate(blocks).tolist()) == list(range(10_007))
        assert {len(block) for block in blocks[:-1]} == {1024}
    assert not np.array_equal(dealt.block(0), dealt.block(dealt.blocks))
    np.testing.assert_array_equal(dealt.block(4), BlockSampler(10_007, 1024, 3).block(4))


def test_labels_sorted_by_shard_are_spread_over_all_blocks():
    labels = np.repeat(np.arange(10), 30_000)
    dealt = BlockSampler(rows=300_000, block_rows=40_960, seed=0)
    for number in range(dealt.blocks):
        shares = np.bincount(labels[dealt.block(number)], minlength=10) / len(dealt.block(number))
        assert abs(shares - 0.1).max() < 0.05


def test_memory_bounds_a_block_which_is_whole_batches(staged):
    dealt = plan(staged, 2700, RECIPE)
    assert dealt.block_rows == 256
    assert dealt.blocks == 11


def test_too_little_memory_is_told_with_what_is_needed(staged):
    """Not a batch a block, with a checkpoint after each: that would never end."""
    recipe = RECIPE.model_copy(update={"batch_size": 1024})
    with pytest.raises(InputError, match=r"--memory 1025: 3,000 rows need 1,031 MiB at least"):
        plan(staged, 2700, recipe)
    assert plan(dataclasses.replace(staged, memory=1031), 2700, recipe).blocks == 2


def test_in_blocks_from_disk_it_learns_as_well_as_from_memory(whole, staged, tmp_path):
    in_memory, _ = trained(whole, tmp_path / "a")
    in_blocks, told = trained(staged, tmp_path / "b")
    assert len(told) == RECIPE.epochs
    assert in_blocks.training_rows == in_memory.training_rows
    last, other = in_blocks.history[-1], in_memory.history[-1]
    assert last.validation_accuracy >= other.validation_accuracy - 0.01
    np.testing.assert_array_equal(in_blocks.held_out_labels, in_memory.held_out_labels)


def test_killed_in_the_middle_of_an_epoch_it_ends_with_the_same_weights(staged, tmp_path):
    undisturbed, _ = trained(staged, tmp_path / "a")
    seen = []

    def kill(share):
        seen.append(share)
        if len(seen) == 13:  # of 11 blocks an epoch
            raise RuntimeError("power failure")

    with pytest.raises(RuntimeError, match="power failure"):
        trained(staged, tmp_path / "b", on_block=kill)
    resumed, told = trained(staged, tmp_path / "b")
    assert resumed.digest == undisturbed.digest
    assert [record.epoch for record in told] == [2, 3, 4, 5, 6]
    assert [(r.loss, r.accuracy) for r in resumed.history] == [(r.loss, r.accuracy) for r in undisturbed.history]


def test_the_same_rows_in_other_files_train_the_same_weights(staged, whole, tmp_path):
    np.save(tmp_path / "one.npy", whole.train.read(slice(None)))
    one = ShardedImages([pixel_file(tmp_path / "one.npy", len(whole.train))], whole.train.labels, staged.train.numbers)
    assert (
        trained(staged, tmp_path / "a")[0].digest
        == trained(dataclasses.replace(staged, train=one), tmp_path / "b")[0].digest
    )


@pytest.mark.mnist
def test_labels_sorted_by_shard_do_not_hurt_the_accuracy(tmp_path):
    """By no more than a tenth of a point: a shard a digit, or digits in any order; five blocks an epoch both."""
    mnist = accepted("mnist")
    orders = {
        "sorted": np.argsort(mnist.train.labels, kind="stable"),
        "shuffled": np.random.default_rng(0).permutation(len(mnist.train)),
    }
    right = {name: accuracies(mnist, order, tmp_path / name) for name, order in orders.items()}
    assert np.mean(right["sorted"]) >= np.mean(right["shuffled"]) - 0.001, right
    assert np.mean(right["sorted"]) > 0.98


def accuracies(mnist, order, folder):
    """Train on digits that lie in ten files in this order, by several seeds; give the shares of test digits right."""
    from tasks.inference.model import answers

    folder.mkdir()
    cut = on_disk(dataclasses.replace(mnist, train=mnist.train.take(order)), folder, 10, memory=1065)
    assert plan(cut, len(cut.train), FAST).blocks == 5
    recipes = [FAST.model_copy(update={"seed": seed}) for seed in range(SEEDS)]
    networks = [
        engine.train(cut, one, FolderStorage(folder / "work"), lambda _: None, lambda _: None).network
        for one in recipes
    ]
    return [(answers(network, mnist.test).argmax(axis=1) == mnist.test.labels).mean() for network in networks]
