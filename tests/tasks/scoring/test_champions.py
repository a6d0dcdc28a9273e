"""The answers that the gate decides by: the candidate's, the champion's, and those of the best champion so far."""

from types import SimpleNamespace

import numpy as np
import pytest

from artifacts.store import version_files
from artifacts.store.history import State
from schemas.errors import StoreError
from schemas.images import InMemoryImages
from schemas.slices import CorruptedAnswers
from tasks.inference import loader, predictor
from tasks.scoring import champions, gate
from tasks.scoring.corruptions import CORRUPTIONS

LABELS = np.arange(10, dtype=np.uint8)
CORRUPTED = CorruptedAnswers(tuple(CORRUPTIONS), np.arange(10), np.zeros((15, 10), bool))
PIXELS = np.repeat(LABELS[:, None], 784, axis=1)


def always(digit):
    """Return a network that predicts one digit."""
    return lambda pixels: np.eye(10, dtype=np.float32)[np.full(len(pixels), digit)]


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    """Version n always predicts n."""
    monkeypatch.setattr(loader, "load_version", lambda _folder, version: always(version))
    monkeypatch.setattr(predictor, "predictor", lambda network: network)
    monkeypatch.setattr(gate, "measure", lambda *_: {"accuracy": 0.1})


class Versions:
    """A store's versions; version n was trained on the images n and n + 1, and 9 is damaged."""

    def __init__(self, folder):
        self.folder = folder

    def verified_dir(self, version):
        if version == 9:
            raise StoreError("version 9: damaged")
        version_files.write_training_rows(self.folder, np.array([version, version + 1], np.uint64))
        return self.folder


class OldVersions(Versions):
    """Versions of an earlier release, without the digests of their training rows."""

    def verified_dir(self, version):
        return self.folder


def answer(versions, state, n_folds=0):
    """Answer for a candidate that always predicts 7, but is right in cross-validation; trained on images 2 to 9."""
    images, digests = InMemoryImages(PIXELS, LABELS), np.arange(10, dtype=np.uint64)
    dataset = SimpleNamespace(test=images, test_digests=digests, train_digests=digests[2:], n_folds=n_folds)
    evaluation = SimpleNamespace(
        right=LABELS < 10 if n_folds else LABELS == 7, robustness=None if n_folds else CORRUPTED
    )
    return champions.answer(SimpleNamespace(network=always(7)), evaluation, dataset, versions, state)


def test_without_a_champion_the_candidate_is_alone(tmp_path):
    candidate, champion, best = answer(Versions(tmp_path), State())
    assert (champion, best) == (None, None)
    assert candidate.right.tolist() == (LABELS == 7).tolist()
    assert candidate.measurements == {"accuracy": 0.1}


def test_all_answer_each_test_image_and_its_shifts(tmp_path):
    candidate, champion, best = answer(Versions(tmp_path), State(champion=1))
    assert candidate.right.shape == champion.right.shape == (10, 9)
    assert np.flatnonzero(candidate.right[:, 0]) == [7]
    assert np.flatnonzero(champion.right[:, 0]) == [1]
    assert best is champion
    assert candidate.robustness is CORRUPTED
    assert (champion.robustness.right == (LABELS == 1)).all()


def test_rows_known_to_the_champion_are_marked_and_new_ones_counted(tmp_path):
    candidate, champion, _ = answer(Versions(tmp_path), State(champion=2))
    assert np.flatnonzero(champion.trained_on).tolist() == [2, 3]
    assert candidate.new_rows == 6
    assert answer(OldVersions(tmp_path / "old"), State(champion=1))[0].new_rows == 0, "unknown rows count as none"


def test_the_best_champion_so_far_answers_too(tmp_path):
    _, champion, best = answer(Versions(tmp_path), State(champion=4, best_champion=3))
    assert (champion.version, best.version) == (4, 3)
    assert np.flatnonzero(champion.right[:, 0]) == [4]
    assert np.flatnonzero(best.right[:, 0]) == [3]
    assert np.flatnonzero(best.trained_on).tolist() == [3, 4]


@pytest.mark.parametrize(("champion", "best"), [(9, 3), (3, 9)])
def test_a_damaged_champion_has_a_fault_and_no_answers(tmp_path, champion, best):
    candidate, *loaded = answer(Versions(tmp_path), State(champion=champion, best_champion=best))
    assert {one.version: (one.right is None, one.fault) for one in loaded} == {
        9: (True, "version 9: damaged"),
        3: (False, ""),
    }
    assert candidate.right.shape == (10, 9)


def test_out_of_fold_answers_are_compared_on_the_images_alone(tmp_path):
    candidate, champion, _ = answer(Versions(tmp_path), State(champion=1), n_folds=5)
    assert candidate.right.tolist() == [True] * 10
    assert champion.right.tolist() == (LABELS == 1).tolist()
