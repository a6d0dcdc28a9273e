"""All flows on a store in an object store, each in a process of its own: train, promote, predict, verify."""

import json

import fsspec
import pandas as pd
import pytest
from samples import write_shards

from artifacts.store.store import Store

pytestmark = pytest.mark.prefect


def test_all_flows_work_on_a_store_in_an_object_store(run_flow, bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store, files = f"{bucket}/models", fsspec.filesystem("s3")
    shards = write_shards(tmp_path / "shards", rows=1200, count=3)
    files.put(str(shards), f"{bucket}/shards", recursive=True)
    quick = ("--recipe", "plain", "--epochs", 4, "--batch-size", 32, "--learning-rate", 0.01)
    train = ("train", "--source", f"{bucket}/shards", "--store", store, *quick)

    first = run_flow(*train)
    assert first.returncode == 0, first.stderr
    assert "promoted to champion" in first.stdout
    assert f"report:     {store}/versions/1/report.md" in first.stdout
    assert "unchanged" in run_flow(*train).stdout.lower()
    second = run_flow(*train, "--seed", 1, "--force", "a test")
    assert second.returncode == 0, second.stderr

    kept = Store(store)
    assert (kept.versions(), kept.champion(), kept.unreported()) == ([1, 2], 2, [])
    assert kept.work.names() == ["shards"], "the checkpoints of what is published aren't needed any more"
    assert len(kept.shards.names()) == 3
    promoted = run_flow("promote", "--store", store, "--previous")
    assert promoted.returncode == 0, promoted.stderr
    assert kept.champion() == 1

    predicted = run_flow("predict", "--input", shards / "00.parquet", "--store", store, cwd=tmp_path)
    assert predicted.returncode == 0, predicted.stderr
    answers, shown = pd.read_csv(tmp_path / "predictions.csv"), pd.read_parquet(shards / "00.parquet")
    assert (answers["label"] == shown["label"]).mean() > 0.9
    verified = run_flow("verify", "--store", store)
    assert verified.returncode == 0, verified.stderr

    place = f"{store}/versions/1/card.json"
    card = json.loads(files.cat(place))
    card["figures"]["accuracy"] = 0.9999
    files.pipe(place, json.dumps(card).encode())
    named = run_flow("verify", "--store", store)
    assert named.returncode == 1
    assert "version 1: card.json differs from the history" in named.stderr
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith("s3")]


def test_object_store_that_cannot_be_used_is_one_line(run_flow, bucket, monkeypatch):
    ended = run_flow("train", "--store", "s3://no-such-bucket/models")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("error: s3://no-such-bucket/models/versions: can't be written")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for flow in ("train", "predict"):
        ended = run_flow(flow, "--store", f"{bucket}/models")
        assert ended.returncode == 1
        assert ended.stderr.count("\n") == 1
        assert "can't be used" in ended.stderr
