"""A version that was changed is named, and neither promoted nor used."""

import json
import shutil

import pytest
from samples import promote, publish

from artifacts import files
from artifacts.store import store as store_module
from artifacts.store.store import Store
from schemas.errors import StoreError


def change(folder, name):
    (folder / name).write_bytes(b"changed")


def swap(folder):
    shutil.copy(folder / "metrics.json", folder / "model.keras")


def copy_card(folder):
    shutil.copy(folder.parent / "1" / "card.json", folder / "card.json")


def edit_card(folder):
    card = json.loads((folder / "card.json").read_text())
    card["figures"]["accuracy"] = 0.9999
    (folder / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        *(
            (lambda folder, name=name: change(folder, name), f"{name} was changed")
            for name in ("model.keras", "metrics.json")
        ),
        (swap, "model.keras was changed"),
        (lambda folder: (folder / "metrics.json").unlink(), "metrics.json is missing"),
        (lambda folder: (folder / "notes.txt").write_text(""), "notes.txt isn't listed on its card"),
        (lambda folder: (folder / "more").mkdir(), "more isn't listed on its card"),
        (lambda folder: (folder / "card.json").write_text("{"), r"card\.json can't be read"),
        (lambda folder: (folder / "card.json").write_text("[]"), r"card\.json can't be read"),
        (lambda folder: (folder / "card.json").unlink(), "there is no version 3; versions: 1, 2"),
        (copy_card, "the card is that of version 1"),
        (edit_card, r"card\.json differs from the history"),
    ],
)
def test_tampered_version_is_named_and_not_promoted(store, tamper, message):
    tamper(store.local_dir(3))
    with pytest.raises(StoreError, match=message):
        promote(store, 3)
    assert store.champion() == 2
    assert store.find_by_fingerprint("f") == 2


def test_verified_version_is_hashed_once(store, monkeypatch):
    hashed = []
    checksums = store_module.checksums
    monkeypatch.setattr(store_module, "checksums", lambda path: (hashed.append(path.name), checksums(path))[1])
    assert store.verified_dir(3) == store.verified_dir(3) == store.local_dir(3)
    assert hashed == ["3"]
    change(store.local_dir(3), "model.keras")
    with pytest.raises(StoreError, match=r"model\.keras was changed"):
        Store(store.uri).verified_dir(3)


@pytest.mark.parametrize("n_hashed", [0, 1])
def test_version_removed_while_it_is_verified_is_reported_as_removed(store, monkeypatch, n_hashed):
    sha256, hashed = files._sha256, []

    def late(path):
        hashed.append(path)
        if len(hashed) == n_hashed + 1:
            publish(Store(store.uri), keep=1)
        return sha256(path)

    monkeypatch.setattr(files, "_sha256", late)
    message = "version 3: was removed meanwhile, as it is older than the versions to --keep; choose another one"
    assert store.faults(3) == [message]
