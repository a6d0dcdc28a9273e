"""Exports by the flows: of the champion with `train --export`, one that fails, and one that was damaged later.

That the export flow succeeds is tested on an object store.
"""

from pathlib import Path

import pytest
from samples import QUICK, newest_artifact

from artifacts.store.store import Store
from flows.export_flow import export_flow
from flows.train_flow import train_flow
from flows.verify_flow import verify_flow
from schemas.errors import InputError, StoreError
from tasks import verify
from tasks.exporting import exporter

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


@pytest.mark.slow
def test_an_unchanged_champion_is_exported_and_a_damaged_export_is_named(store_copy, tiny_npz, monkeypatch):
    store = Store(store_copy)
    arguments = {"store": store.uri, "recipe": "plain", "overrides": QUICK, "export": ("litert",)}
    trained = train_flow(str(tiny_npz), **arguments)
    assert trained.unchanged
    (export,) = trained.exports
    assert f"{export.path}: 200 of 200 test rows have the same label" in export.summary
    assert "200 of 200 test rows" in newest_artifact("exports").data
    assert store.exports.names(1) == ["litert"]
    assert train_flow(str(tiny_npz), **arguments).exports == ()  # it is there already

    monkeypatch.setattr(verify, "_rescore", lambda *_, **__: [])
    assert verify_flow(store=store.uri).version == 1
    Path(export.path, "digits.tflite").write_bytes(b"damaged")
    with pytest.raises(StoreError, match=r"^version 1: export litert: digits\.tflite was changed.*; export it again$"):
        verify_flow(store=store.uri)


def test_an_export_that_fails_is_named_and_the_version_stays(store_copy, monkeypatch):
    monkeypatch.setattr(exporter, "_run", lambda *_: (1, "the converter crashed"))
    with pytest.raises(InputError, match=r"^onnx isn't exported: can't be converted \(the converter crashed\)$"):
        export_flow(store=str(store_copy), export=("onnx",))
    assert Store(store_copy).exports.names(1) == []
    assert Store(store_copy).faults(1) == []
