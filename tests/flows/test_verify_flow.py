"""Verification: a version is what its card says, or what differs is named."""

import json
import shutil

import numpy as np
import pytest
from samples import draw_digits

from artifacts.files import sums
from artifacts.store.store import Store
from flows.train_flow import train_flow
from flows.verify_flow import check, verify_flow
from schemas.errors import InputError, StoreError
from schemas.recipe import Overrides
from tasks.verification.differences import differences

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture(scope="module")
def whole(prefect_server, tmp_path_factory):
    """Give a store with one version, and the source that it was made of."""
    folder = tmp_path_factory.mktemp("verified")
    x, y = draw_digits(800, seed=3)
    np.savez(folder / "rows.npz", x=x, y=y)
    quick = Overrides(epochs=4, batch_size=32, learning_rate=0.01, validation_fraction=0.1)
    train_flow(str(folder / "rows.npz"), store=str(folder / "store"), recipe="plain", overrides=quick)
    return folder


@pytest.fixture
def local_dir(whole, tmp_path):
    """Give a copy that may be harmed; the card names the source in the original place."""
    shutil.copytree(whole / "store", tmp_path / "store")
    return tmp_path / "store"


def test_a_version_proves_what_its_card_says_weights_included(folder):
    verified = verify_flow(store=str(folder), reproduce=True)
    assert verified.version == 1
    assert verified.summary == "version 1 is what its card says: its files, its figures and its weights, trained anew"


def test_a_card_that_claims_too_much_is_named_figure_by_figure(folder):
    place = Store(folder).local_dir(1)
    card = json.loads((place / "card.json").read_text())
    true = card["figures"]["accuracy"]
    card["figures"]["accuracy"] = 0.9999
    card["figures"]["confusion_matrix"][3][3] += 1
    (place / "card.json").write_text(json.dumps(card))
    with pytest.raises(StoreError) as told:
        verify_flow(1, str(folder))
    assert f"version 1: figures.accuracy is {true}, the card says 0.9999" in str(told.value)
    assert "figures.confusion_matrix[3][3] is" in str(told.value)


def test_a_threshold_that_lets_it_answer_too_much_is_named(folder):
    place = Store(folder).local_dir(1)
    card = json.loads((place / "card.json").read_text())
    card["abstention"]["threshold"] = 0.0
    (place / "card.json").write_text(json.dumps(card))
    with pytest.raises(StoreError, match=r"version 1: abstention\.threshold is .*, the card says 0\.0"):
        verify_flow(1, str(folder))


def test_another_model_is_named_even_if_the_card_was_made_to_fit(folder):
    import keras

    place = Store(folder).local_dir(1)
    network = keras.models.load_model(place / "model.keras")
    network.set_weights([weight * 0.9 for weight in network.get_weights()])
    network.save(place / "model.keras")
    with pytest.raises(StoreError, match=r"model\.keras was changed"):
        verify_flow(1, str(folder))
    card = json.loads((place / "card.json").read_text())
    (place / "card.json").unlink()
    (place / "card.json").write_text(json.dumps(card | {"files": sums(place)}))
    with pytest.raises(StoreError, match="the weights' digest is"):
        verify_flow(1, str(folder))


def test_a_model_that_carries_code_is_refused(folder):
    import keras

    place = Store(folder).local_dir(1)
    layers = [keras.Input((28, 28)), keras.layers.Lambda(lambda x: x), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential(layers).save(place / "model.keras")
    card = json.loads((place / "card.json").read_text())
    (place / "card.json").unlink()
    (place / "card.json").write_text(json.dumps(card | {"files": sums(place)}))
    with pytest.raises(StoreError, match="not a model that can be loaded safely"):
        verify_flow(1, str(folder))


def test_data_that_is_gone_is_named(folder):
    place = Store(folder).local_dir(1)
    card = json.loads((place / "card.json").read_text())
    card["data"]["source"] = "/nowhere/rows.npz"
    (place / "card.json").write_text(json.dumps(card))
    with pytest.raises(StoreError, match=r"can't be scored \(/nowhere/rows\.npz: no such file"):
        verify_flow(1, str(folder))


def test_without_a_champion_a_version_has_to_be_named(tmp_path):
    with pytest.raises(InputError, match="there is no champion; --version names a version"):
        check(None, tmp_path)


def test_differences_of_rounding_are_none():
    assert differences({"a": [1.0, 2]}, {"a": [1.0 + 1e-9, 2]}, "x") == []
    assert differences({"a": 1}, {"b": 1}, "x") == ["x.a is None, the card says 1", "x.b is 1, the card says None"]
