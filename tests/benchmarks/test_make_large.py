"""The large data sets of the benchmark: decided by the seed, made once, whole."""

import pandas as pd
import pytest


@pytest.fixture
def make(benchmarks, tmp_path):
    """Return a function that makes a data set in a named folder and reads its rows."""

    def made(name, rows, shard_rows, seed=0):
        flags = ["--rows", rows, "--shard-rows", shard_rows, "--seed", seed, "--out", tmp_path / name]
        benchmarks.make_large.main([*map(str, flags)])
        return pd.concat(map(pd.read_parquet, sorted((tmp_path / name).glob("*.parquet"))), ignore_index=True)

    return made


@pytest.mark.mnist
def test_the_seed_decides_the_rows_however_they_are_cut(make):
    whole = make("whole", 1500, 1500)
    pd.testing.assert_frame_equal(make("cut", 1500, 400), whole)
    pd.testing.assert_frame_equal(make("fewer", 700, 300), whole[:700])
    assert not make("other", 1500, 1500, seed=1).equals(whole)


@pytest.mark.mnist
def test_deformed_digits_keep_their_labels(make):
    rows = make("whole", 1500, 1500)
    means = rows.groupby("label").mean().to_numpy()
    nearest = [((means - row) ** 2).sum(axis=1).argmin() for row in rows.to_numpy(float)[:, 1:]]
    assert (nearest == rows["label"]).mean() > 0.7


@pytest.mark.mnist
def test_a_folder_with_another_data_set_is_refused(make, tmp_path):
    make("cut", 1500, 400)
    with pytest.raises(SystemExit):
        make("cut", 700, 400)
    assert len(list((tmp_path / "cut").iterdir())) == 4


@pytest.mark.mnist
def test_a_data_set_is_made_once_and_again_where_a_shard_is_missing(benchmarks, monkeypatch, tmp_path):
    made = []
    run = benchmarks.inputs.run
    monkeypatch.setattr(benchmarks.inputs, "run", lambda *command: made.append(1) or run(*command))
    folder = benchmarks.inputs.shards(tmp_path, 600, quick=False)
    assert benchmarks.inputs.shards(tmp_path, 600, quick=False) == folder
    assert len(made) == 1
    (shard,) = folder.glob("*.parquet")
    shard.unlink()
    benchmarks.inputs.shards(tmp_path, 600, quick=False)
    assert len(made) == 2
