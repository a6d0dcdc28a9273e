"""What is told of data larger than memory is what was measured, at whatever sizes that was."""

import importlib
import json
from types import SimpleNamespace

import pandas as pd
import pytest
from samples import ROOT
from test_bench import run

BENCHMARKS = ROOT / "benchmarks"
MODULES = ("goals", "large", "large_section", "make_large", "page", "records", "workers_section")
MILLION, MNIST8M = 1_000_000, 8_100_000


@pytest.fixture
def benchmarks(monkeypatch):
    """Give the benchmark's modules, which lie in no package."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})


@pytest.fixture
def flow(benchmarks):
    """Give what makes the record of a flow that took 4 µs a row to validate, 10 µs a row and pass to train."""

    def made(rows, epochs=1, **differing):
        stages = {"load": 1e-6 * rows, "validate": 3e-6 * rows, "train": 1e-5 * rows * epochs, "evaluate": 0.5}
        figures = {"seed": 0, "seconds": 60.0, "peak_bytes": 1500 * 2**20, "accuracy": 0.99, "stages": stages}
        return benchmarks.records.ShardedRun(program="flow", rows=rows, epochs=epochs, **figures | differing)

    return made


@pytest.fixture
def large(benchmarks, flow):
    """Give a whole measurement of the sizes that the goals are about."""
    records = benchmarks.records
    staging = {"seed": 0, "shards": 81, "source_bytes": 2**30, "peak_bytes": 2**30}
    took = {"case": "mlp", "seed": 0, "rows": 10_240, "read_seconds": 1e-6}
    portions = {"1": [0.01, 0.012, 0.008], "2": [0.005], "8": [0.002], "64": [0.001]}
    return records.Large(
        "2026-01-01",
        {"processor": "Abacus", "cores": "2", "memory": "1 GiB"},
        flows=[flow(MILLION), flow(MNIST8M, 4, anonymous_bytes=900 * 2**20)],
        stagings=[records.ShardCache(MNIST8M, read_seconds=10.0, first_seconds=54.0, again_seconds=27.0, **staging)],
        feedings=[records.Feeding(400_000, 0, 4, memory_seconds=[1.0, 1.2, 1.1], block_seconds=[1.25, 1.3, 1.2])],
        shared=[
            records.Shared(workers=0, epoch_seconds=[9.0, 0.1, 0.1], seconds=10.0, accuracy=0.98, **took),
            records.Shared(workers=1, epoch_seconds=[9.0, 0.12, 0.12], seconds=20.0, accuracy=0.98, **took),
            records.Shared(workers=2, epoch_seconds=[9.0, 0.2, 0.2], seconds=24.4, accuracy=0.981, **took),
        ],
        portions=[records.Portions("mlp", 0, 1024, 437_500, portions, exchange_seconds=[0.002, 0.002])],
    )


def told(benchmarks, large):
    """Give figure and verdict of each goal on data larger than memory, by what it says."""
    nothing = benchmarks.records.Results("2026-01-01", {})
    others = {goal.what for goal in benchmarks.goals.goals(nothing, None, None)}
    goals = benchmarks.goals.goals(nothing, None, large)
    return {goal.what: (goal.measured, goal.verdict) for goal in goals if goal.what not in others}


def test_what_is_kept_is_what_was_measured(benchmarks, large, tmp_path):
    benchmarks.records.write(tmp_path / "large.json", large)
    assert benchmarks.records.read_large(tmp_path / "large.json") == large
    assert benchmarks.records.read_large(tmp_path / "none.json") is None


def test_each_goal_is_held_to_its_figure(benchmarks, large):
    goals = told(benchmarks, large)
    compared = "with 8,100,000 rows, of that with 1,000,000"
    assert goals == {
        "1,000,000 rows from disk, 1 pass: median test accuracy": (0.99, "met"),
        "8,100,000 rows from disk, 4 passes: median test accuracy": (0.99, "**missed**"),
        "Peak memory of a flow on rows from disk, the highest": (1500, "met"),
        f"Peak memory {compared}": (1, "met"),
        f"Loading and validating, a row, {compared}": (pytest.approx(1), "met"),
        f"Training, a row and pass, {compared}": (pytest.approx(1), "met"),
        "Rows staged and validated by the flow": (pytest.approx(250_000), "met"),
        "Rows validated again, all staged": (pytest.approx(300_000), "met"),
        "Pace of training in blocks from disk, of that in memory": (pytest.approx(1.1 / 1.25), "**missed**"),
    }


def test_memory_that_grows_with_the_rows_is_told(benchmarks, large, flow):
    large.flows[1] = flow(MNIST8M, 4, peak_bytes=2100 * 2**20)
    goals = told(benchmarks, large)
    assert goals["Peak memory of a flow on rows from disk, the highest"] == (2100, "**missed**")
    assert goals["Peak memory with 8,100,000 rows, of that with 1,000,000"] == (1.4, "**missed**")


def test_other_sizes_are_no_answer_to_a_goal_about_these(benchmarks, large, flow):
    large.flows = [flow(20_000), flow(60_000), flow(MILLION, epochs=2)]
    goals = told(benchmarks, large)
    assert [figure for what, figure in goals.items() if "accuracy" in what] == [(None, "not measured")] * 2
    assert goals["Peak memory with 1,000,000 rows, of that with 20,000"] == (1, "met")


def test_one_size_says_nothing_about_growth(benchmarks, large):
    del large.flows[0]
    goals = told(benchmarks, large)
    assert [verdict for what, (_, verdict) in goals.items() if "of that with few" in what] == ["not measured"] * 3
    assert goals["Peak memory of a flow on rows from disk, the highest"] == (1500, "met")


def test_the_section_has_every_part(benchmarks, large):
    section = benchmarks.large_section.section(large)
    assert "Measured on 2026-01-01: Abacus" in section
    assert "| 1,000,000 | 1 | 60.00 s | 99.00 % | 1500 MiB | — |" in section
    assert "| 8,100,000 | 4 | 60.00 s | 99.00 % | 1500 MiB | 900 MiB |" in section
    assert "| 8,100,000 | 32.40 s | 4.00 µs | 324.00 s | 10.00 µs | 0.50 s |" in section
    assert "| the last, to the first |  | 1.00 × |  | 1.00 × | 1.00 × |" in section
    assert "| 8,100,000 | 81 | 1,024 MiB | 150,000 | 300,000 | 810,000 | 1024 MiB |" in section
    assert "| from disk, 4 blocks | 320,000 (307,692 to 333,333) | 88.00 % |" in section


def test_what_workers_cost_is_told_with_where_it_goes(benchmarks, large):
    section = benchmarks.large_section.section(large)
    assert "| mlp | 10,240 | 0.10 s | 0.12 s | 0.20 s | 2.00 × | 15.00 s |" in section
    assert "| mlp | 98.00 % | 98.10 % |" in section
    assert "| mlp | 20.0 ms | 10.0 ms | 2.0 ms | 8.0 ms |" in section


def test_what_a_cluster_would_give_is_computed_from_portions_messages_and_reading(benchmarks, large):
    workers, (portions,) = benchmarks.workers_section, large.portions
    # Two messages between two, each a millisecond here and 50 µs on the way, of half of 437,500 bytes at 1.25 GB/s.
    assert workers.exchange_seconds(portions, 2) == pytest.approx(2 * 1.05e-3 + 0.35e-3)
    assert workers.exchange_seconds(portions, 8) == pytest.approx(14 * 1.05e-3 + 14 / 8 * 0.35e-3)
    assert workers.batch_seconds(portions, 1, 1e-6) == pytest.approx(0.010)
    assert workers.batch_seconds(portions, 2, 1e-6) == pytest.approx(0.005 + 2.45e-3)
    assert workers.batch_seconds(portions, 2, 1e-5) == pytest.approx(0.01024), "reading takes longer"
    # Eight save 8 ms a batch of 1,024 and exchange for 15.3 ms: they pay where a batch saves as much.
    assert workers.paying_batch(portions, 8) == pytest.approx(1024 * 15.3125 / 8)
    assert "| mlp | 1,024 | 0.44 MB | 10.0 ms | 7.5 ms (1.34 ×) |" in benchmarks.large_section.section(large)


def test_parts_that_were_not_measured_are_left_out(benchmarks, large):
    large.flows, large.feedings, large.shared = [], [], []
    assert [line for line in benchmarks.large_section.section(large).splitlines() if line.startswith("#")] == [
        "### Validation and staging"
    ]
    assert benchmarks.large_section.section(None) == "Not measured; `make bench-large` does it."


def test_measuring_a_part_keeps_the_others_and_other_sizes(benchmarks, large):
    def kept(*flags):
        begun = benchmarks.large.started(benchmarks.large.parsed(flags), large)
        rows = [one.rows for one in begun.flows]
        return rows, len(begun.stagings), len(begun.feedings), len(begun.shared), len(begun.portions)

    assert kept() == ([], 0, 0, 0, 0)
    assert kept("--only", "flow") == ([], 1, 1, 3, 1)
    assert kept("--only", "flow", "--rows", str(MNIST8M)) == ([MILLION], 1, 1, 3, 1)
    assert kept("--only", "staging", "training") == ([MILLION, MNIST8M], 0, 0, 3, 1)
    assert kept("--only", "workers") == ([MILLION, MNIST8M], 1, 1, 0, 0)
    assert kept("--only", "flow", "--quick") == ([], 0, 0, 0, 0)


def test_rows_are_made_once_and_again_where_a_shard_is_missing(benchmarks, monkeypatch, tmp_path):
    made = []
    make = benchmarks.large.run
    monkeypatch.setattr(
        benchmarks.large, "run", lambda command, environment: made.append(1) or make(command, environment)
    )
    folder = benchmarks.large.shards(tmp_path, 600)
    assert benchmarks.large.shards(tmp_path, 600) == folder
    assert len(made) == 1
    (shard,) = folder.glob("*.parquet")
    shard.unlink()
    benchmarks.large.shards(tmp_path, 600)
    assert len(made) == 2


@pytest.mark.mnist
def test_the_seed_decides_the_rows_however_they_are_cut(benchmarks, tmp_path):
    def made(name, rows, shard_rows, seed=0):
        flags = ["--rows", rows, "--shard-rows", shard_rows, "--seed", seed, "--out", tmp_path / name]
        benchmarks.make_large.main([*map(str, flags)])
        return pd.concat(map(pd.read_parquet, sorted((tmp_path / name).glob("*.parquet"))), ignore_index=True)

    whole = made("whole", 1500, 1500)
    pd.testing.assert_frame_equal(made("cut", 1500, 400), whole)
    pd.testing.assert_frame_equal(made("fewer", 700, 300), whole[:700])
    assert not made("other", 1500, 1500, seed=1).equals(whole)
    means = whole.groupby("label").mean().to_numpy()
    nearest = [((means - row) ** 2).sum(axis=1).argmin() for row in whole.to_numpy(float)[:, 1:]]
    assert (nearest == whole["label"]).mean() > 0.7, "labels are those of the digits"
    with pytest.raises(SystemExit):
        made("cut", 700, 400)
    assert len(list((tmp_path / "cut").iterdir())) == 4, "another set in the folder would be mixed with this one"


@pytest.mark.mnist
def test_parts_can_be_measured(tmp_path):
    before = (BENCHMARKS / "results.md").read_text()
    flags = ["--quick", "--rows", "6000", "--data", tmp_path, "--only", "staging", "training"]
    page = run("benchmarks/large.py", *flags).stdout
    assert "| 6,000 | 1 |" in page
    assert "| from disk, 3 blocks |" in page
    assert [entry.name for entry in tmp_path.iterdir()] == ["digits-6000"]
    assert (BENCHMARKS / "results.md").read_text() == before


def test_the_memory_that_a_process_holds_is_noted_while_it_runs(benchmarks):
    processes = importlib.import_module("processes")
    held = "x = bytearray(200 * 2**20); import time; time.sleep(1); print(1)"
    finished = processes.run([processes.sys.executable, "-c", held], {}, watched=True)
    assert json.loads(finished.output) == 1
    assert 200 * 2**20 < finished.anonymous_bytes <= finished.peak_bytes


@pytest.mark.ray
@pytest.mark.mnist
def test_what_workers_cost_can_be_measured(benchmarks, tmp_path):
    folder = benchmarks.large.shards(tmp_path, 2000)
    recipe = ["--recipe", "plain", "--overrides", json.dumps({"epochs": 2, "batch_size": 64, "validation_fraction": 0})]
    places = ["--shards", folder, "--work", tmp_path / "work", "--rows", 2000]
    told = json.loads(run("benchmarks/contenders/workers.py", *places, *recipe, "--most", 1).stdout.splitlines()[-1])
    for workers, one in told.pop("by_workers").items():
        shared = benchmarks.records.Shared(case="mlp", seed=0, workers=int(workers), **told, **one)
        assert len(shared.epoch_seconds) == 2
        assert sum(shared.epoch_seconds) < shared.seconds
    told = json.loads(run("benchmarks/contenders/portions.py", *recipe).stdout.splitlines()[-1])
    portions = benchmarks.records.Portions(case="mlp", seed=0, **told)
    assert set(portions.portion_seconds) == {"1", "2", "8", "64"}
    assert portions.gradient_bytes == 4 * 109_386
