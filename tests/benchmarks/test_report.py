"""The results page and the README show the measurements; how a metric is computed and written."""

import math

import pytest
from samples import ROOT

BENCHMARKS = ROOT / "benchmarks"


def training(case, epoch_seconds, accuracies, **other):
    """Return a measurement of a training."""
    return {
        "suite": "training",
        "case": case,
        "seed": 0,
        "date": "2026-01-01",
        "machine": "Abacus, 2 cores",
        "epoch_seconds": epoch_seconds,
        "accuracies": accuracies,
        "accuracy": accuracies[-1],
        **other,
    }


@pytest.fixture
def results(benchmarks):
    """Return measurements of the engine, which is twice as fast as plain Keras, and a toy that never gets there."""
    return benchmarks.results.Results(
        [
            training("engine", [1.0, 0.5], [0.96, 0.98]),
            training("engine", [1.0, 0.7], [0.96, 0.98], seed=1),
            training("keras_plain", [2.0, 1.2], [0.9, 0.976]),
            training("toy", [2.0, 1.0], [0.9, 0.91]),
        ]
    )


def test_the_results_page_matches_the_measurements(benchmarks):
    page = benchmarks.report.render(benchmarks.results.Results.load())
    assert page == (BENCHMARKS / "results.md").read_text()


def test_a_case_has_a_row_with_medians_and_ranges(benchmarks, results):
    row = "| {training: engine} | target_seconds | epoch_median_seconds / keras_plain | accuracy | peak_bytes |"
    (rendered,) = benchmarks.report.render_line(results, row)
    assert rendered.endswith("| 1.60 s (1.50 to 1.70) | 0.50 × | 98.00 % | — |")


def test_cases_are_rows_if_they_were_measured_unknown_ones_last(benchmarks, results):
    rows = benchmarks.report.render_line(results, "| {training} | target_seconds | target_seconds / toy |")
    assert len(rows) == 3
    assert rows[-1] == "| toy | never | — |"


def test_goals_are_met_or_missed_or_not_measured(benchmarks, results):
    def last_cells(goal):
        (row,) = benchmarks.report.render_line(results, f"| Fast | {goal} |")
        return row.split(" | ")[1:]

    expression = "{training engine: given_seconds / keras_plain}"
    assert last_cells(f"at most 0.5 | {expression}") == ["at most 0.50 ×", "0.50 ×", "met |"]
    assert last_cells(f"at least 0.6 | {expression}") == ["at least 0.60 ×", "0.50 ×", "**missed** |"]
    assert last_cells("at most 1 | {training engine: target_seconds max}") == [
        "at most 1.00 s",
        "1.70 s",
        "**missed** |",
    ]
    assert last_cells("at most 1 | {training nobody: accuracy}") == ["at most 100.00 %", "—", "not measured |"]


def test_a_difference_is_to_the_first_case_that_was_measured(benchmarks, results):
    (line,) = benchmarks.report.render_line(results, "It adds {training toy: training_seconds - nobody|engine}.")
    assert line == "It adds 1.40 s."


def test_a_suite_says_when_and_where_it_was_measured(benchmarks, results):
    (line,) = benchmarks.report.render_line(results, "{measured training}")
    assert line.startswith("Measured on 2026-01-01: Abacus, 2 cores; 2 runs of each. Not measured: Keras, tuned")
    (line,) = benchmarks.report.render_line(results, "{measured long}")
    assert line == "Not measured; `python benchmarks/bench.py --suite long` does it."


def test_new_measurements_replace_those_of_their_suite_alone(benchmarks, results, tmp_path):
    other = {**training("engine_best", [1.0], [0.99]), "suite": "long"}
    replaced = results.replaced(["long"], [other]).replaced(["training"], [training("engine", [3.0], [0.98])])
    replaced.save(tmp_path / "results.json")
    loaded = benchmarks.results.Results.load(tmp_path / "results.json")
    assert [one["case"] for one in loaded.measurements] == ["engine_best", "engine"]
    assert loaded.spread("training", "engine", "target_seconds") == (3, 3, 3)


def test_a_run_that_misses_the_target_counts_as_its_whole_time(results):
    (toy,) = results.select("training", "toy")
    assert (toy["target_seconds"], toy["given_seconds"]) == (math.inf, 3)


def test_a_cluster_is_estimated_from_steps_messages_and_reading(benchmarks):
    steps = {"1": [0.01, 0.012, 0.008], "2": [0.005], "8": [0.002], "64": [0.001]}
    measured = {"suite": "cluster", "batch": 1024, "gradient_bytes": 437_500, "exchange_seconds": [0.002]}
    slow, fast = (
        benchmarks.metrics.derive(measured | {"step_seconds": steps, "row_read_seconds": seconds})
        for seconds in (1e-5, 1e-6)
    )
    # Two messages between two, each a millisecond here and 50 µs on the way, of half of 437,500 bytes at 1.25 GB/s.
    assert fast["by_2_ms"] == pytest.approx(5 + 2 * 1.05 + 0.35)
    assert fast["by_2_ratio"] == pytest.approx(10 / 7.45)
    assert slow["by_2_ms"] == pytest.approx(10.24)
    # Eight save 8 ms a batch of 1,024 and exchange for 15.3 ms: they pay where a batch saves as much.
    assert fast["break_even_rows"] == pytest.approx(1024 * (14 * 1.05 + 14 / 8 * 0.35) / 8)
