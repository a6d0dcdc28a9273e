"""Fashion-MNIST by Keras' own download: found in its cache, or a clear word when it can't be had."""

import shutil

import pytest
import source_files

from schemas.errors import InputError
from schemas.rules import DEFAULT_RULES
from tasks.inference.start_up import import_tensorflow
from tasks.sources import formats

import_tensorflow()

import keras  # noqa: E402, after TensorFlow was told to be quiet


def test_it_is_read_from_what_keras_downloads(digits, tmp_path, monkeypatch):
    folder = source_files.idx_gz(digits, tmp_path)
    asked = []

    def get_file(name, origin, file_hash, cache_subdir):
        content = name.split("-")[1]
        place = folder / name
        written = next(folder.glob(f"train-{content}*"))
        if written != place:
            shutil.copy(written, place)
        asked.append((name, origin.endswith(f"/{name}"), len(file_hash), cache_subdir))
        return str(place)

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    for path in list(folder.iterdir()):
        path.rename(folder / f"{path.name.replace('.idx', '-idx')}")
    loaded = formats.load("fashion-mnist", None, DEFAULT_RULES)
    assert loaded.name == "fashion-mnist"
    assert loaded.train.equals(digits)
    assert loaded.test.equals(digits)
    assert len(asked) == 4
    assert set(asked[0][1:]) == {True, 32, "datasets/fashion-mnist"}


def test_offline_it_says_what_can_be_done(monkeypatch):
    def get_file(name, origin, **_):
        raise Exception(f"URL fetch failure on {origin}: None -- [Errno -3] Temporary failure")  # noqa: TRY002, as Keras

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    with pytest.raises(InputError, match=r"fashion-mnist: can't be downloaded .*folder with its four IDX files"):
        formats.load("fashion-mnist", None, DEFAULT_RULES)
