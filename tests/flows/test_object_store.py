"""All flows as scripts on a store in an object store: train, promote, predict, export, verify, audit."""

import json

import fsspec
import pandas as pd
import pytest
from samples import publish, write_shards

from artifacts.store.store import Store

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


@pytest.mark.slow
def test_all_flows_work_on_a_store_in_an_object_store(run_script, bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store, files = f"{bucket}/models", fsspec.filesystem("s3")
    shards = write_shards(tmp_path / "shards", rows=1200, count=3)
    files.put(str(shards), f"{bucket}/shards", recursive=True)
    quick = ("--recipe", "plain", "--epochs", 4, "--batch-size", 32, "--learning-rate", 0.01)
    train = ("train", "--source", f"{bucket}/shards", "--store", store, *quick)

    first = run_script(*train)
    assert first.returncode == 0, first.stderr
    assert "promoted to champion" in first.stdout
    assert f"report:     {store}/versions/1/report.md" in first.stdout
    assert "unchanged" in run_script(*train).stdout.lower()

    kept = Store(store)
    assert (kept.versions(), kept.champion(), kept.unreported()) == ([1], 1, [])
    assert kept.work.names() == ["shards"], "the checkpoints of what is published aren't needed any more"
    assert len(kept.shards.names()) == 3
    assert publish(kept, promoted=True) == kept.champion() == 2
    promoted = run_script("promote", "--store", store, "--previous")
    assert promoted.returncode == 0, promoted.stderr
    assert kept.champion() == 1

    predicted = run_script("predict", "--input", shards / "00.parquet", "--store", store, "--archive", "archive")
    assert predicted.returncode == 0, predicted.stderr
    (archived,) = (tmp_path / "archive").glob("predictions-20*.csv")
    assert archived.read_text() == (tmp_path / "predictions.csv").read_text()
    answers, shown = pd.read_csv(tmp_path / "predictions.csv"), pd.read_parquet(shards / "00.parquet")
    assert (answers["label"] == shown["label"]).mean() > 0.9
    exported = run_script("export", "--store", store, "--export", "savedmodel")
    assert exported.returncode == 0, exported.stderr
    assert f"{store}/exports/1/savedmodel: " in exported.stdout
    verified = run_script("verify", "--store", store)
    assert verified.returncode == 0, verified.stderr
    files.pipe(f"{store}/exports/1/savedmodel/variables/variables.index", b"damaged")

    place = f"{store}/versions/1/card.json"
    card = json.loads(files.cat(place))
    card["figures"]["accuracy"] = 0.9999
    files.pipe(place, json.dumps(card).encode())
    named = run_script("verify", "--store", store)
    assert named.returncode == 1
    assert "version 1: card.json differs from the history" in named.stderr
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith("s3")]
