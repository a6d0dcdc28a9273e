"""Checkpoints as who watches a training sees them, while another process saves them."""

import numpy as np

from artifacts.store.storage import FolderStorage
from tasks.training import checkpoints
from tasks.training.checkpoints import EpochProgress, State


def state(block):
    return State([np.full(3, block)], [], [], EpochProgress(block, 0.0, 0, 0.0))


def test_a_checkpoint_is_read_once(tmp_path, monkeypatch):
    place = FolderStorage(tmp_path)
    assert checkpoints.poll_newest(place) == ("", None)
    checkpoints.save(place, state(1))
    seen, saved = checkpoints.poll_newest(place)
    assert saved.under_way.blocks == 1
    with monkeypatch.context() as patch:
        patch.setattr(FolderStorage, "read", None)
        assert checkpoints.poll_newest(place, seen) == (seen, None)
    checkpoints.save(place, state(2))
    assert checkpoints.poll_newest(place, seen)[1].under_way.blocks == 2


def test_a_damaged_one_is_passed_over_and_stays_for_who_trains(tmp_path):
    place = FolderStorage(tmp_path)
    for block in (1, 2):
        checkpoints.save(place, state(block))
    older, newest = sorted(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    seen, saved = checkpoints.poll_newest(place)
    assert (seen, saved.under_way.blocks) == (older.name, 1)
    assert newest.exists()
