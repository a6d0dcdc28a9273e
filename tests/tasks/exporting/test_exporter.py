"""Exports of a tiny network: each format agrees, and what doesn't agree is named and not kept."""

import errno
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
from samples import accepted, publish

from artifacts.store.store import Store
from schemas.errors import InputError
from schemas.exports import MAX_DIFFERENCE, Agreement, ExportFormat
from tasks.exporting import exporter, formats
from tasks.exporting.formats import FORMATS
from tasks.verification import rescore


@pytest.fixture(scope="module")
def dataset(tiny_npz):
    return accepted(tiny_npz)


@pytest.fixture(scope="module")
def exported(tmp_path_factory, dataset):
    """Return a store whose version is exported in two formats, and the exports; the flows' tests export the others."""
    import keras

    from tasks.inference.model import save_network

    layers = [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    store, network = Store(tmp_path_factory.mktemp("exported") / "store"), keras.Sequential(layers)
    bars = np.zeros((28, 28, 10))  # what draw_digits draws
    for digit in range(10):
        bars[4 + 2 * digit : 6 + 2 * digit, 4:24, digit] = 1 / 1000
    network.layers[-1].kernel.assign(bars.reshape(784, 10))
    publish(store)
    folder = store.local_dir(1)
    save_network(network, folder / "model.keras")
    store.verified_dir = store.local_dir  # its checksum is that of the model before
    card = store.card(1) | {"weights_digest": "w", "data": {"fingerprint": "f"}}
    store.card = lambda _version: card
    return store, exporter.export(store, 1, ("litert-int8", "onnx"), dataset)


@pytest.mark.slow
def test_every_export_agrees_on_all_test_rows_and_is_added_to_the_store(exported):
    store, exports = exported
    assert [each.fault for each in exports] == [""] * 2
    agreements = {each.format: each.record["agreement"] for each in exports}
    assert all(each["n_rows"] == 200 and not each["different_labels"] for each in agreements.values())
    assert {each["accuracy"] for each in agreements.values()} == {1.0}
    assert agreements["litert-int8"]["max_difference"] > MAX_DIFFERENCE  # it is int8
    assert store.exports.names(1) == sorted(agreements) == ["litert-int8", "onnx"]


@pytest.mark.parametrize(
    ("name", "different", "difference", "accuracy", "size", "fault"),
    [
        ("onnx", 0, 1e-5, 0.9, 1.0, ""),
        ("onnx", 1, 1e-5, 0.9, 1.0, "1 of 1,000 test rows get another label"),
        ("onnx", 0, 1e-3, 0.9, 1.0, "probabilities differ by up to 0.001"),
        ("onnx", 0, np.nan, 0.9, 1.0, "aren't numbers"),
        ("litert-int8", 3, 0.1, 0.899, 0.3, ""),
        ("litert-int8", 3, 0.1, 0.898, 0.3, "loses 0.20 percentage points"),
        ("litert-int8", 3, 0.1, 0.9, 0.31, "31% of the size"),
    ],
)
def test_an_export_that_differs_too_much_is_refused(  # noqa: PLR0913, one for each column
    name, different, difference, accuracy, size, fault
):
    agreement = Agreement(1000, different, difference, accuracy, 0.9)
    if not fault:
        exporter._check(agreement, FORMATS[name], size)
    else:
        with pytest.raises(exporter._RejectedError, match=fault):
            exporter._check(agreement, FORMATS[name], size)


def test_a_missing_package_is_one_line_with_its_remedy(monkeypatch):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match="--export litert: ai-edge-litert isn't installed; install it with pip"):
        formats.check(["litert"])


def test_every_format_has_an_entry():
    assert {*FORMATS} == {*get_args(ExportFormat)}


def test_conversion_without_an_end_is_given_up(monkeypatch):
    monkeypatch.setattr(exporter, "TIMEOUT_SECONDS", 0.01)
    assert exporter._run("this") == (1, "no result within 0.01 seconds")


def test_disk_that_is_full_costs_the_exports_alone(tmp_path, monkeypatch, dataset):
    def disk_full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    store = Store(tmp_path)
    publish(store)
    monkeypatch.setattr(exporter, "_write_images", disk_full)
    assert [each.fault for each in exporter.export(store, 1, ("onnx",), dataset)] == ["No space left on device"]


def test_export_on_data_that_has_changed_is_refused(tmp_path, monkeypatch):
    store = Store(tmp_path)
    publish(store)
    monkeypatch.setattr(store, "card", lambda _: {"data": {"fingerprint": "before", "source": "digits.csv"}})
    monkeypatch.setattr(rescore, "read_data", lambda *_: SimpleNamespace(fingerprint="after"))
    with pytest.raises(InputError, match=r"^version 1: digits\.csv has changed since it was trained"):
        exporter.read_data(store, 1)
