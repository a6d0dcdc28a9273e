"""Networks that are loaded as matrices: their answers are those of Keras, and everything unusual is left to Keras."""

import io
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from artifacts.store.store import MODEL
from schemas.errors import StoreError
from schemas.recipe import PRESETS
from tasks.inference.loader import load_version, read_dense_layers
from tasks.inference.model import save_network
from tasks.inference.predictor import predictor
from tasks.training.networks import build_network

RECIPES = PRESETS["fast"].recipes
ELSEWHERE = Path("elsewhere.h5")


def dense_network(*layers, offset=0.0, activation="softmax"):
    first = [keras.Input((28, 28)), keras.layers.Rescaling(1 / 100, offset), keras.layers.Flatten()]
    return keras.Sequential([*first, *layers, keras.layers.Dense(10, activation=activation)])


def rewrite(path, name, change):
    """Change a member of a saved network."""
    with zipfile.ZipFile(path) as saved:
        members = {member: saved.read(member) for member in saved.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if name == "assets" else zipfile.ZIP_STORED) as archive:
        for member, content in (members | {name: change(members.get(name))}).items():
            archive.writestr(member, content)


def changed_weights(change):
    """Return a function that changes the file of weights."""

    def rewritten(content):
        buffer = io.BytesIO(content)
        with h5py.File(buffer, "r+") as file:
            change(file["layers"]["dense"]["vars"])
        return buffer.getvalue()

    return rewritten


def replace_matrix(group, *arguments, **options):
    del group["0"]
    group.create_dataset("0", *arguments, **options)


def link_elsewhere(group):
    del group["0"]
    group["0"] = h5py.ExternalLink(ELSEWHERE.absolute(), "/0")


def store_elsewhere(group):
    matrix = group["0"][()]
    ELSEWHERE.write_bytes(matrix.tobytes())
    replace_matrix(group, matrix.shape, "f4", external=[(ELSEWHERE.absolute(), 0, matrix.nbytes)])


def assemble_from_elsewhere(group):
    del group["0"]
    layout = h5py.VirtualLayout((784, 128), "f4")
    layout[:] = h5py.VirtualSource(ELSEWHERE.absolute(), "0", (784, 128))
    group.create_virtual_dataset("0", layout)


def with_config(old, new):
    return lambda content: content.replace(old, new)


UNUSUAL = {
    "a class of one's own": ("config.json", with_config(b'"registered_name": null', b'"registered_name": "own"')),
    "another activation": ("config.json", with_config(b'"relu"', b'"gelu"')),
    "another precision": ("config.json", with_config(b'"float32"', b'"mixed_bfloat16"')),
    "another input": ("config.json", with_config(b"[null, 28, 28]", b"[null, 56, 14]")),
    "no JSON": ("config.json", lambda _: b"{"),
    "no weights": ("model.weights.h5", lambda _: b""),
    "a matrix of another shape": (
        "model.weights.h5",
        changed_weights(lambda g: replace_matrix(g, data=np.zeros((784, 9), "f4"))),
    ),
    "a matrix that expands": (
        "model.weights.h5",
        changed_weights(lambda g: replace_matrix(g, (784, 128), "f4", compression="gzip")),
    ),
    "a link to another file": ("model.weights.h5", changed_weights(link_elsewhere)),
    "a matrix in another file": ("model.weights.h5", changed_weights(store_elsewhere)),
    "a matrix made of another file's": ("model.weights.h5", changed_weights(assemble_from_elsewhere)),
    "a member that expands": ("assets", lambda _: bytes(1 << 24)),
}  # fmt: skip


@pytest.mark.parametrize(
    "network",
    [
        build_network(RECIPES["mlp"]),
        dense_network(),
        dense_network(keras.layers.Dense(8, activation="relu"), keras.layers.Dense(8), offset=-0.5),
    ],
    ids=["mlp", "one layer", "linear layers and an offset"],
)
def test_dense_layers_answer_as_keras_does(network, tmp_path, digits):
    save_network(network, tmp_path / MODEL)
    assert read_dense_layers(tmp_path / MODEL)
    pixels = digits.to_numpy()[:, 1:]
    np.testing.assert_allclose(load_version(tmp_path, 1)(pixels), predictor(network)(pixels), atol=1e-6)
    assert load_version(tmp_path, 1)(pixels[:0]).shape == (0, 10)


def test_other_networks_are_loaded_by_keras(tmp_path, digits):
    network = build_network(RECIPES["cnn"])
    save_network(network, tmp_path / MODEL)
    assert not read_dense_layers(tmp_path / MODEL)
    pixels = digits.to_numpy()[:40, 1:]
    np.testing.assert_array_equal(load_version(tmp_path, 1)(pixels), predictor(network)(pixels))


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_files_are_left_to_keras(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File(ELSEWHERE, "w") as file:
        file["0"] = np.zeros((784, 128), "f4")
    path = tmp_path / MODEL
    save_network(build_network(RECIPES["mlp"]), path)
    rewrite(path, *UNUSUAL[name])
    assert not read_dense_layers(path)


def test_outputs_that_are_no_probabilities_are_an_error(tmp_path):
    save_network(dense_network(activation="linear"), tmp_path / MODEL)
    with_bias = changed_weights(lambda group: group["1"].write_direct(np.ones(10, "f4")))
    rewrite(tmp_path / MODEL, "model.weights.h5", with_bias)
    with pytest.raises(StoreError, match="aren't probabilities"):
        load_version(tmp_path, 1)
