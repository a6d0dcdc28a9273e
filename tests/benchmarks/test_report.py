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
        "evaluation_seconds": [0.0],
        "process_seconds": sum(epoch_seconds),
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


def test_the_results_page_and_the_readme_match_the_measurements(benchmarks):
    page = benchmarks.report.render(benchmarks.results.Results.load())
    assert page == (BENCHMARKS / "results.md").read_text()
    readme = (ROOT / "README.md").read_text()
    assert benchmarks.report.fill(readme, page) == readme


def test_a_case_has_a_row_with_medians_and_ranges(benchmarks, results):
    row = "| {training: engine} | target_seconds | epoch_median_seconds / keras_plain | accuracy | peak_bytes |"
    (rendered,) = benchmarks.report.render_line(results, row)
    assert rendered.endswith("| 1.60 s (1.50 to 1.70) | 0.42 × | 98.00 % | — |")


def test_cases_are_rows_if_they_were_measured_unknown_ones_last(benchmarks, results):
    rows = benchmarks.report.render_line(results, "| {training} | target_seconds | target_seconds / toy |")
    assert len(rows) == 3
    assert rows[-1] == "| toy | never | — |"


def test_goals_are_met_or_missed_or_not_measured(benchmarks, results):
    def last_cells(goal):
        (row,) = benchmarks.report.render_line(results, f"| Fast | {goal} |")
        return row.split(" | ")[1:]

    expression = "{training engine: given_seconds / keras_plain}"
    assert last_cells(f"at most 0.5 | {expression}") == ["at most 0.50 ×", "0.47 ×", "met |"]
    assert last_cells(f"at least 0.6 | {expression}") == ["at least 0.60 ×", "0.47 ×", "**missed** |"]
    assert last_cells("at most 1 | {training engine: target_seconds max}") == [
        "at most 1.00 s",
        "1.70 s",
        "**missed** |",
    ]
    assert last_cells("at most 1 | {training nobody: accuracy}") == ["at most 100.00 %", "—", "not measured |"]


def test_a_ratio_is_taken_within_each_round_also_to_another_suite(benchmarks):
    keras = [training("keras_tuned", [seconds], [0.98], seed=number) for number, seconds in enumerate([2.0, 4.0, 1.0])]
    flows = [
        training("flow", [], [0.99], seed=number, suite="long", stages={"train": seconds})
        for number, seconds in enumerate([1.0, 3.0])
    ]
    results = benchmarks.results.Results([*keras, *flows])
    line = "{long flow: training_seconds / training.keras_tuned}, {long flow: training_seconds - training.keras_tuned}"
    (rendered,) = benchmarks.report.render_line(results, line)
    assert rendered == "0.62 × (0.50 to 0.75; best 0.50), -1.00 s"


def test_a_suite_says_when_and_where_it_was_measured(benchmarks, results):
    (line,) = benchmarks.report.render_line(results, "{measured training}")
    assert line.startswith("Measured on 2026-01-01: Abacus, 2 cores; 2 runs of each. Not measured: Keras, tuned")
    (line,) = benchmarks.report.render_line(results, "{measured long}")
    assert line == "Not measured; `python benchmarks/bench.py --suite long` does it."


@pytest.mark.parametrize(("flags", "rounds"), [([], [0, 1]), (["--resume"], [1])])
def test_rounds_replace_those_of_before_unless_they_are_resumed(benchmarks, monkeypatch, results, flags, rounds):
    suite = benchmarks.suites.Suite("training", "standard", 2, {})
    long = training("best", [], [0.99], suite="long", stages={"train": 1.0})
    monkeypatch.setitem(benchmarks.suites.SUITES, "training", suite)
    monkeypatch.setattr(benchmarks.bench, "champion_store", lambda _: None)
    monkeypatch.setattr(
        benchmarks.bench,
        "measure_suite",
        lambda _, number, *__: [training("new", [1.0], [0.98], seed=number, script_seconds=1)],
    )
    options = benchmarks.bench.parse(["--suite", "training", *flags])
    before = results.without(["training"]).with_measurements(
        [long, *([training("old", [1.0], [0.9])] if flags else [])]
    )
    *_, after = benchmarks.bench.measure(options, before)
    assert [one["seed"] for one in after.select("training", "new")] == rounds
    assert after.select("long") != []


def test_a_run_that_misses_the_target_counts_as_its_whole_time(results):
    (toy,) = results.select("training", "toy")
    assert (toy["target_seconds"], toy["given_seconds"]) == (math.inf, 3)
