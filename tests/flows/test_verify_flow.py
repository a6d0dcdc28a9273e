"""The verify flow: a version matches its card, or every difference is named."""

import json
import shutil

import numpy as np
import pytest
from samples import draw_digits

from artifacts.files import checksums
from artifacts.store.store import Store
from flows.train_flow import train_flow
from flows.verify_flow import check, verify_flow
from schemas.errors import InputError, StoreError
from schemas.recipe import Overrides
from tasks.verification.rescore import differences

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture(scope="module")
def original(prefect_server, tmp_path_factory):
    """Return a folder with a store of one version, and the source of its data."""
    folder = tmp_path_factory.mktemp("verified")
    x, y = draw_digits(800, seed=3)
    np.savez(folder / "rows.npz", x=x, y=y)
    quick = Overrides(epochs=4, batch_size=32, learning_rate=0.01, validation_fraction=0.1)
    train_flow(str(folder / "rows.npz"), store=str(folder / "store"), recipe="plain", overrides=quick)
    return folder


@pytest.fixture
def store(original, tmp_path):
    """Return a copy of the store, to be changed; its card names the data in the original folder."""
    shutil.copytree(original / "store", tmp_path / "store")
    return tmp_path / "store"


def change_card(store, change, *, sign=False):
    """Change the card of version 1 and its copy in the history; with `sign`, its checksums match the files."""
    folder = Store(store).local_dir(1)
    card = json.loads((folder / "card.json").read_text())
    change(card)
    if sign:
        (folder / "card.json").unlink()
        card["files"] = checksums(folder)
    (folder / "card.json").write_text(json.dumps(card))
    event = store / "history" / "000001.json"
    event.write_text(json.dumps(json.loads(event.read_text()) | {"card": card}))


def test_an_unchanged_version_is_verified_with_its_weights(store):
    verified = verify_flow(store=str(store), reproduce=True)
    assert verified.version == 1
    assert verified.summary == "version 1 matches its card: files, metrics and retrained weights"


def test_each_wrong_metric_on_the_card_is_named(store):
    true = Store(store).card(1)["figures"]["accuracy"]

    def exaggerate(card):
        card["figures"]["accuracy"] = 0.9999
        card["figures"]["confusion_matrix"][3][3] += 1

    change_card(store, exaggerate)
    with pytest.raises(StoreError) as error:
        verify_flow(version=1, store=str(store))
    assert f"version 1: figures.accuracy is {true}, the card says 0.9999" in str(error.value)
    assert "figures.confusion_matrix[3][3] is" in str(error.value)


def test_a_wrong_abstention_threshold_on_the_card_is_named(store):
    change_card(store, lambda card: card["abstention"].update(threshold=0.0))
    with pytest.raises(StoreError, match=r"version 1: abstention\.threshold is .*, the card says 0\.0"):
        verify_flow(version=1, store=str(store))


def test_another_model_is_named_even_with_matching_checksums(store):
    import keras

    path = Store(store).local_dir(1) / "model.keras"
    network = keras.models.load_model(path)
    network.set_weights([weight * 0.9 for weight in network.get_weights()])
    network.save(path)
    with pytest.raises(StoreError, match=r"model\.keras was changed"):
        verify_flow(version=1, store=str(store))
    change_card(store, lambda _card: None, sign=True)
    with pytest.raises(StoreError, match="the digest of the weights is"):
        verify_flow(version=1, store=str(store))


def test_a_model_with_code_of_its_own_is_refused(store):
    import keras

    layers = [keras.Input((28, 28)), keras.layers.Lambda(lambda x: x), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential(layers).save(Store(store).local_dir(1) / "model.keras")
    change_card(store, lambda _card: None, sign=True)
    with pytest.raises(StoreError, match="not a model that can be loaded safely"):
        verify_flow(version=1, store=str(store))


def test_data_that_isnt_available_any_more_is_named(store):
    change_card(store, lambda card: card["data"].update(source="/nowhere/rows.npz"))
    with pytest.raises(StoreError, match=r"can't be evaluated \(/nowhere/rows\.npz: no such file"):
        verify_flow(version=1, store=str(store))


@pytest.mark.parametrize("refuse", [check, verify_flow])
def test_without_a_champion_a_version_has_to_be_named(refuse, tmp_path):
    with pytest.raises(InputError, match="there is no champion; choose a version with --version"):
        refuse(version=0, store=str(tmp_path))


def test_differences_within_rounding_are_ignored():
    assert differences({"a": [1.0, 2]}, {"a": [1.0 + 1e-9, 2]}, "x") == []
    assert differences({"a": 1}, {"b": 1}, "x") == ["x.a is None, the card says 1", "x.b is 1, the card says None"]
