"""Saved networks: they load in older releases of Keras, and the same network gives the same file."""

import json
import os
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from schemas.errors import StoreError
from schemas.recipe import PRESETS
from tasks.inference.model import NEW_KEYS, load_network, save_network
from tasks.training.networks import build_network

PREDICTION = """
import os, sys
sys.path.insert(0, sys.argv[1])
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras, numpy as np
for model in sys.argv[3:]:
    np.save(f"{model}.npy", keras.models.load_model(model).predict(np.load(sys.argv[2]), verbose=0))
print(keras.__version__)
"""


@pytest.mark.parametrize("name", PRESETS["fast"].recipes)
def test_the_saved_config_has_no_keys_that_older_keras_refuses(name, tmp_path):
    network = build_network(PRESETS["fast"].recipes[name])
    save_network(network, tmp_path / "model.keras")
    text = zipfile.ZipFile(tmp_path / "model.keras").read("config.json").decode()
    json.loads(text)
    assert not [key for key in NEW_KEYS if f'"{key}"' in text]
    for saved, weight in zip(load_network(tmp_path / "model.keras").get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(saved, weight)


@pytest.mark.parametrize("name", PRESETS["fast"].recipes)
def test_the_same_network_gives_the_same_file(name, tmp_path):
    network = build_network(PRESETS["fast"].recipes[name])
    for file in ("a.keras", "b.keras"):
        save_network(network, tmp_path / file)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


def with_member(change, method=zipfile.ZIP_STORED):
    """Return a function that changes a member of a saved network, by its name."""

    def write(path):
        with zipfile.ZipFile(path) as saved:
            members = {name: saved.read(name) for name in saved.namelist()}
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in (members | change(members)).items():
                archive.writestr(name, content)

    return write


def wide_layer(members):
    config = members["config.json"].replace(b'"units": 10', b'"units": 20000000')
    assert config != members["config.json"]
    return {"config.json": config}


LIES = {
    "a layer of twenty million units": (with_member(wide_layer), "weights, more than its"),
    "a member that expands": (
        with_member(lambda _: {"assets/a": bytes(1 << 24)}, zipfile.ZIP_DEFLATED),
        "bytes, more than its",
    ),
    "a file of ten gigabytes": (lambda path: os.truncate(path, 10 << 30), "10,240 MiB; up to 1,024 are loaded"),
    "no zip archive": (lambda path: path.write_bytes(b"weights"), "not a model that can be loaded safely"),
}


@pytest.mark.parametrize("name", LIES)
def test_model_that_declares_more_than_its_file_is_refused(name, tmp_path, monkeypatch):
    save_network(build_network(PRESETS["plain"].recipes["mlp"]), tmp_path / "model.keras")
    change, expected = LIES[name]
    change(tmp_path / "model.keras")
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(StoreError, match=expected) as error:
        load_network(tmp_path / "model.keras")
    assert "\n" not in str(error.value)


@pytest.mark.registry
@pytest.mark.parametrize("version", ["3.10.0", "3.14.0"])
def test_older_keras_loads_the_file_and_predicts_the_same(version, tmp_path):
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", f"keras=={version}"]
    subprocess.run([*command, "--target", tmp_path / "keras"], check=True)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    networks = {tmp_path / f"{name}.keras": build_network(recipe) for name, recipe in PRESETS["fast"].recipes.items()}
    for path, network in networks.items():
        save_network(network, path)
    program = [sys.executable, "-I", "-c", PREDICTION, tmp_path / "keras", tmp_path / "pixels.npy", *networks]
    printed = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    assert printed.split() == [version]
    for path, network in networks.items():
        expected = network.predict(pixels, verbose=0)
        np.testing.assert_allclose(np.load(f"{path}.npy"), expected, rtol=1e-5, atol=1e-6)
