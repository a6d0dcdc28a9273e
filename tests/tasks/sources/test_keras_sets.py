"""Fashion-MNIST by Keras' own download: from its cache, or a clear error offline."""

import shutil

import pytest
import source_files

from schemas.errors import InputError
from schemas.rules import DEFAULT_RULES
from tasks.inference.start_up import import_tensorflow
from tasks.sources import datasets

import_tensorflow()

import keras  # noqa: E402, after TensorFlow was silenced


def test_fashion_mnist_is_read_from_keras_downloads(digits, tmp_path, monkeypatch):
    folder = source_files.idx_gz(digits, tmp_path)
    calls = []

    def get_file(name, origin, file_hash, cache_subdir):
        content = name.split("-")[1]
        place = folder / name
        written = next(folder.glob(f"train-{content}*"))
        if written != place:
            shutil.copy(written, place)
        calls.append((name, origin.endswith(f"/{name}"), len(file_hash), cache_subdir))
        return str(place)

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    for path in list(folder.iterdir()):
        path.rename(folder / f"{path.name.replace('.idx', '-idx')}")
    loaded = datasets.load("fashion-mnist", None, DEFAULT_RULES)
    assert loaded.name == "fashion-mnist"
    assert loaded.train.equals(digits)
    assert loaded.test.equals(digits)
    assert len(calls) == 4
    assert set(calls[0][1:]) == {True, 32, "datasets/fashion-mnist"}


def test_fashion_mnist_offline_is_a_clear_error(monkeypatch):
    def get_file(name, origin, **_):
        raise Exception(f"URL fetch failure on {origin}: None -- [Errno -3] Temporary failure")  # noqa: TRY002, as Keras

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    with pytest.raises(InputError, match=r"fashion-mnist: can't be downloaded .*folder with its four IDX files"):
        datasets.load("fashion-mnist", None, DEFAULT_RULES)
