"""Checkpoints: only the newest are kept, and another process can follow them."""

import numpy as np
import pytest

from artifacts import files
from artifacts.store.folder_storage import FolderStorage
from tasks.training import checkpoints
from tasks.training.checkpoints import EpochProgress, TrainingState


@pytest.fixture
def storage(tmp_path):
    return FolderStorage(tmp_path)


def state(block):
    return TrainingState([np.full(3, block)], [], [], EpochProgress(block, 0.0, 0, 0.0))


def test_only_the_two_newest_checkpoints_are_kept(storage):
    for block in range(5):
        checkpoints.save(storage, state(block))
    assert sorted(name[:17] for name in storage.names()) == ["epoch-00000-00003", "epoch-00000-00004"]


def test_checkpoint_is_saved_although_an_equal_training_removes_the_folder(storage, monkeypatch):
    folder, write_atomically = storage.child("f"), files.write_atomically

    def remove_first(path, content):
        monkeypatch.setattr(files, "write_atomically", write_atomically)
        storage.remove_folder("f")
        write_atomically(path, content)

    monkeypatch.setattr(files, "write_atomically", remove_first)
    checkpoints.save(folder, state(1))
    assert len(folder.names()) == 1


def test_polling_reads_a_checkpoint_only_once(storage, monkeypatch):
    assert checkpoints.poll_newest(storage) == ("", None)
    checkpoints.save(storage, state(1))
    seen, saved = checkpoints.poll_newest(storage)
    assert saved.progress.n_blocks == 1
    with monkeypatch.context() as patch:
        patch.setattr(FolderStorage, "read", None)
        assert checkpoints.poll_newest(storage, seen) == (seen, None)
    checkpoints.save(storage, state(2))
    assert checkpoints.poll_newest(storage, seen)[1].progress.n_blocks == 2


def test_polling_skips_a_damaged_checkpoint_and_leaves_it(storage, tmp_path):
    for block in (1, 2):
        checkpoints.save(storage, state(block))
    older, newest = sorted(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    seen, saved = checkpoints.poll_newest(storage)
    assert (seen, saved.progress.n_blocks) == (older.name, 1)
    assert newest.exists()


def flip_a_bit(content):
    content[len(content) // 2] ^= 1
    return content


@pytest.mark.parametrize(
    "damage", [flip_a_bit, lambda content: content[:-7], lambda _: b""], ids=["bit flipped", "cut", "empty"]
)
def test_damaged_checkpoints_are_logged_and_removed(storage, tmp_path, damage):
    for block in (1, 2):
        checkpoints.save(storage, state(block))
    messages, (older, newest) = [], sorted(tmp_path.iterdir())
    newest.write_bytes(damage(bytearray(newest.read_bytes())))
    assert checkpoints.load_newest(storage, messages.append).progress.n_blocks == 1
    older.write_bytes(damage(bytearray(older.read_bytes())))
    assert checkpoints.load_newest(storage, messages.append) is None
    assert messages == [f"the checkpoint {path} is damaged and was removed" for path in (newest, older)]
    assert list(tmp_path.iterdir()) == []
