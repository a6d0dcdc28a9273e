"""The verify flow: a version matches its card, or every difference is named."""

import json
import re
import sys

import pytest
from inboxes import put
from samples import QUICK, draw_digits, newest_artifact, publish

from artifacts.files import checksums
from artifacts.store.storage import storage_at
from artifacts.store.store import Store
from flows.train_flow import train_flow
from flows.verify_flow import check, verify_flow
from schemas.errors import InputError, StoreError
from tasks import verify
from tasks.inbox import folder
from tasks.verification import rescore

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def store(store_copy):
    """Return a store of one version, to be changed."""
    return store_copy


@pytest.fixture
def rescored(store, monkeypatch, capsys):
    """Return a function that evaluates version 1 as the flow does, but in this process, and returns the differences."""

    def run(*flags):
        monkeypatch.setattr(sys, "argv", ["rescore", str(Store(store).local_dir(1)), *flags])
        capsys.readouterr()
        rescore.main()
        return json.loads(capsys.readouterr().out)

    return run


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


def test_a_wrong_abstention_threshold_on_the_card_is_named(store, rescored):
    change_card(store, lambda card: card["abstention"].update(threshold=0.123))
    (difference,) = rescored()
    assert re.fullmatch(r"abstention\.threshold is .*, the card says 0\.123", difference)


def test_another_model_is_named_even_with_matching_checksums(store, rescored):
    import keras

    path = Store(store).local_dir(1) / "model.keras"
    network = keras.models.load_model(path)
    network.set_weights([weight * 0.9 for weight in network.get_weights()])
    network.save(path)
    with pytest.raises(StoreError, match=r"model\.keras was changed"):
        verify_flow(version=1, store=str(store))
    change_card(store, lambda _card: None, sign=True)
    assert any(difference.startswith("the digest of the weights is ") for difference in rescored())


def test_a_model_with_code_of_its_own_is_refused(store, rescored):
    import keras

    layers = [keras.Input((28, 28)), keras.layers.Lambda(lambda x: x), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential(layers).save(Store(store).local_dir(1) / "model.keras")
    change_card(store, lambda _card: None, sign=True)
    (difference,) = rescored()
    assert "not a model that can be loaded safely" in difference


def test_data_that_isnt_available_any_more_is_named(store, rescored):
    change_card(store, lambda card: card["data"].update(source="/nowhere/rows.npz"))
    (difference,) = rescored()
    assert difference.startswith("it can't be evaluated (/nowhere/rows.npz: no such file")


def test_weights_of_another_precision_are_not_compared(store, rescored):
    change_card(store, lambda card: card["environment"].update(precision="bfloat16"))
    assert rescored("--reproduce") == [
        "it can't be evaluated (it was trained with bfloat16; this processor trains with float32)"
    ]
    assert rescored() == []


def test_a_version_with_an_inbox_is_verified_and_reused(tiny_npz, tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "STABLE_SECONDS", -60.0)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    put(inbox / "more.npz", *draw_digits(100, seed=5))
    store = str(tmp_path / "store")
    run = {"source": str(tiny_npz), "inbox": str(inbox), "store": store, "recipe": "plain", "overrides": QUICK}
    assert train_flow(**run).version == 1
    card = Store(tmp_path / "store").card(1)
    assert card["data"]["rows"]["training"] + card["data"]["rows"]["held out"] == 700
    assert '"file": "more.npz"' in newest_artifact("inbox").data
    assert rescore.rescore(Store(store).local_dir(1), storage_at(tmp_path / "work"), reproduce=False) == []
    assert train_flow(**run).unchanged
    put(inbox / "again.npz", *draw_digits(50, seed=6))
    assert train_flow(**run).version == 2


@pytest.mark.parametrize("refuse", [check, verify_flow])
def test_without_a_champion_a_version_has_to_be_named(refuse, tmp_path):
    with pytest.raises(InputError, match="there are no versions; train one, or check --store"):
        refuse(version=0, store=str(tmp_path))
    publish(Store(tmp_path))
    with pytest.raises(InputError, match="there is no champion; choose a version with --version"):
        refuse(version=0, store=str(tmp_path))


def test_differences_within_rounding_are_ignored():
    assert rescore.differences({"a": [1.0, 2]}, {"a": [1.0 + 1e-9, 2]}, "x") == []
    assert rescore.differences({"a": 1}, {"b": 1}, "x") == [
        "x.a is None, the card says 1",
        "x.b is 1, the card says None",
    ]


def test_evaluation_that_crashes_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert verify._rescore(tmp_path, reproduce=False) == ["it can't be evaluated (no error message)"]
